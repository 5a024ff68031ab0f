"""Images of anything that a command accepts as data."""

import os
from collections.abc import Sequence

from ..errors import DataNotFoundError
from ..file_names import printable
from .archive_images import archive_images
from .archive_places import (
    describe_foreign,
    find_archives,
    is_archive_place,
    refuse_stray_images,
)
from .image_files import IMAGE_SUFFIXES, scan_images
from .image_lists import read_image_list

LIST_SUFFIX = ".txt"


def images_at(place: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """Return the paths or addresses of the images of a folder, list or archive, in order.

    Any other path is returned itself, whether it is an image or not.

    Args:
        place: folder, list, archive or file.
        suffixes: suffixes of image files.

    Raises:
        UserError: the folder, list or archive cannot be read, or contains no images.
    """
    if not is_archive_place(place):
        if is_list(place):
            return _some(read_image_list(place, os.path.dirname(place)), place)
        if not os.path.isdir(place):
            return [place]
        scan = scan_images(place, suffixes)
        scan.warn_of_left_out(place)
        refuse_stray_images(place, scan)
        if scan.paths:
            return scan.paths
    found = find_archives(place)
    paths = archive_images(found, suffixes=suffixes).paths if found else []
    return _some(paths, place, f" (looked for {' '.join(suffixes)}){describe_foreign(place)}")


def _some(paths: list[str], place: str, sought: str = "") -> list[str]:
    if not paths:
        raise DataNotFoundError(f"no images in '{printable(place)}'{sought}")
    return paths


def is_list(place: str) -> bool:
    """Return whether a path is a text file, which lists images relative to its folder."""
    return place.lower().endswith(LIST_SUFFIX) and os.path.isfile(place)
