"""Choice of the readable images among files and folders."""

import os
from collections.abc import Sequence

from ..datasets.image_files import find_images, suffixes_read
from ..errors import CorruptImageError, DataNotFoundError
from ..transforms import LoadImage


def readable_images(
    arguments: Sequence[str], load: LoadImage | None = None
) -> tuple[list[str], list[str]]:
    """Return the readable images of files and folders, and the errors of the others.

    Args:
        arguments: files and folders.
        load: transform that must read the images; None reads 8-bit colors.

    Raises:
        DataNotFoundError: no image is readable.
    """
    load = load or LoadImage()
    suffixes = suffixes_read(load.bands)
    paths: list[str] = []
    for argument in arguments:
        paths += find_images(argument, suffixes) if os.path.isdir(argument) else [argument]
    readable, errors = [], []
    for path in paths:
        try:
            load(dict(img_path=path))
            readable.append(path)
        except CorruptImageError as error:
            errors.append(str(error))
    if not readable:
        raise DataNotFoundError("; ".join(errors) or f"no images in {', '.join(arguments)}")
    return readable, errors
