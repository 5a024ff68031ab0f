"""Folder or archives of a split, in a folder."""

import os
from collections.abc import Sequence

from ..errors import DataNotFoundError
from ..file_names import printable
from .archive_places import ArchivePlace, archives_of_split
from .image_files import IMAGE_SUFFIXES
from .splits import splits_in_folder


def place_of_split(
    root: str, split: str, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> str | ArchivePlace:
    """Return the folder ``ROOT/SPLIT``, or else the archives of the split, or else the root.

    Args:
        root: folder.
        split: name of the split, or a folder; ``""`` for everything.
        suffixes: suffixes of image files.

    Raises:
        DataNotFoundError: the root has folders of other splits alone.
    """
    folder = os.path.join(root, split)
    if os.path.isdir(folder):
        return folder
    if place := archives_of_split(root, split):
        return place
    if others := splits_in_folder(root, suffixes):
        raise DataNotFoundError(
            f"there is no folder '{printable(folder)}', but '{printable(root)}' has other splits"
            f" ({', '.join(others)}): give the folder to read, such as"
            f" '{printable(os.path.join(root, others[0]))}', or rename it to {printable(split)}"
        )
    return root
