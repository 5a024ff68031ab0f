"""Number of labeled images and classes in a folder or in archives."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..archives import HUB
from ..datasets import LabeledImageFolder
from ..datasets.image_files import IMAGE_SUFFIXES
from ..errors import DataNotFoundError, SplitError
from ..file_names import printable


class LabeledSurvey(NamedTuple):
    """Labeled images of a run."""

    root: str
    """The folder or archive with ``train`` and ``val``, absolute."""
    images: int
    """Training images."""
    classes: int


def survey_labeled(
    data: str | os.PathLike, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> LabeledSurvey:
    """Count the images, files with one of ``suffixes``, and the classes in ``train``.

    Raises:
        DataNotFoundError: ``train`` or ``val`` is missing, there are fewer than two classes, or
            labels without names exceed the number of images.
    """
    root = os.fspath(data)
    if not root.startswith(HUB):
        root = str(Path(root).expanduser().absolute())
    dataset, entries = _read(root, "train", suffixes)
    _read(root, "val", suffixes)
    classes = len(dataset.CLASSES or ()) or 1 + max(entry["gt_label"] for entry in entries)
    if classes < 2:
        raise DataNotFoundError(
            f"data '{printable(root)}' has {classes} class in train, with {len(entries)} images:"
            " arrange at least two classes as train/CLASS/IMAGE"
        )
    if not dataset.CLASSES and classes > len(entries):
        raise DataNotFoundError(
            f"data '{printable(root)}' has labels up to {classes - 1}, but {len(entries)} images in"
            " train: number the classes from 0"
        )
    return LabeledSurvey(root, len(entries), classes)


def _read(root: str, split: str, suffixes: Sequence[str]) -> tuple[LabeledImageFolder, list[dict]]:
    dataset = LabeledImageFolder(root, data_prefix=split, extensions=suffixes, lazy_init=True)
    try:
        return dataset, dataset.load_data_list()
    except SplitError as error:
        raise DataNotFoundError(
            f"data {error.cause}: arrange labeled images as train/CLASS/IMAGE and val/CLASS/IMAGE,"
            f" or give the folder or archive of {split} this name"
        ) from error
