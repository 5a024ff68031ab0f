"""Choice of the readable images among files and folders."""

import os
from collections.abc import Sequence

from ..datasets.image_files import find_images
from ..errors import CorruptImageError, DataNotFoundError
from ..transforms import LoadImage


def readable_images(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the readable images of files and folders, and the errors of the others.

    Raises:
        DataNotFoundError: no image is readable.
    """
    paths: list[str] = []
    for argument in arguments:
        paths += find_images(argument) if os.path.isdir(argument) else [argument]
    readable, errors = [], []
    for path in paths:
        try:
            LoadImage()(dict(img_path=path))
            readable.append(path)
        except CorruptImageError as error:
            errors.append(str(error))
    if not readable:
        raise DataNotFoundError("; ".join(errors) or f"no images in {', '.join(arguments)}")
    return readable, errors
