"""Number of labeled images and classes in a folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..datasets.image_files import IMAGE_SUFFIXES, images_by_class
from ..errors import DataNotFoundError
from ..file_names import printable


class LabeledSurvey(NamedTuple):
    """Labeled images of a run."""

    root: str
    """The folder with ``train`` and ``val``, absolute."""
    images: int
    """Training images."""
    classes: int


def survey_labeled(
    data: str | os.PathLike, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> LabeledSurvey:
    """Count the images, files with one of ``suffixes``, and class folders in ``train``.

    Raises:
        DataNotFoundError: ``train`` or ``val`` is missing, or there are fewer than two classes.
    """
    root = Path(data).expanduser().absolute()
    for split in ("train", "val"):
        if not (root / split).is_dir():
            raise DataNotFoundError(
                f"data '{printable(data)}' has no folder {split}: arrange labeled images as"
                " train/CLASS/IMAGE and val/CLASS/IMAGE"
            )
    by_class, _ = images_by_class(root / "train", suffixes)
    images = sum(map(len, by_class.values()))
    if len(by_class) < 2 or not images:
        raise DataNotFoundError(
            f"data '{printable(root / 'train')}' has {len(by_class)} class folders and {images}"
            " images in them: arrange at least two classes as train/CLASS/IMAGE"
        )
    return LabeledSurvey(str(root), images, len(by_class))
