"""Choice of the readable images among files, folders, lists and archives."""

from collections.abc import Sequence

from ..datasets.image_files import suffixes_read
from ..datasets.image_places import images_at
from ..errors import CorruptImageError, DataNotFoundError
from ..transforms import LoadImage


def readable_images(
    arguments: Sequence[str], load: LoadImage | None = None
) -> tuple[list[str], list[str]]:
    """Return the readable images of files, folders, lists and archives, and the others' errors.

    Args:
        arguments: files, folders, lists and archives.
        load: transform that must read the images; None reads 8-bit colors.

    Raises:
        DataNotFoundError: no image is readable.
    """
    load = load or LoadImage()
    suffixes = suffixes_read(load.bands)
    paths: list[str] = []
    for argument in arguments:
        paths += images_at(argument, suffixes)
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
