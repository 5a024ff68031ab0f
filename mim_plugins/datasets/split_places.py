"""Images of a split in a folder, or its archives there."""

import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives.hugging_face_archive import canonical_split
from ..errors import DataNotFoundError
from ..file_names import printable
from ..wording import counted
from .archive_member import as_prefix, shared_folders
from .archive_places import ArchivePlace, archives_of_split, find_archives
from .image_files import IMAGE_SUFFIXES, scan_images
from .splits import images_of_split, split_in_name


class FolderImages(NamedTuple):
    """Images of a folder."""

    folder: str
    paths: list[str]
    split: str = ""
    """Split to read of the folder to find them again, ``""`` if these are all of its images."""


def find_split(
    root: str, split: str, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> FolderImages | ArchivePlace:
    """Return the images of a split in a folder, or its archives, and log what is read.

    These are the images in ``ROOT/SPLIT``, or else the archives of the split, or else the images in
    the folders that stand for it (see :func:`split_in_name`) below those that all images share.
    Without any of them, folders of other splits are left out.

    Args:
        root: folder.
        split: name of the split, or a folder; ``""`` for everything.
        suffixes: suffixes of image files.

    Raises:
        DataNotFoundError: only folders or archives of other splits contain images.
    """
    folder = os.path.join(root, split) if split else root
    is_exact = os.path.isdir(folder)
    if not is_exact and (place := archives_of_split(root, split)):
        return place
    if not is_exact:
        folder = root
    scan = scan_images(folder, suffixes)
    scan.warn_of_left_out(folder)
    if not scan.paths and (place := find_archives(root, split)):
        return place
    found = FolderImages(folder, scan.paths)
    if scan.paths and not is_exact:
        found = _choose(root, split, scan.paths)
    if found.paths:
        print_log(f"{counted(len(found.paths), 'image')} in '{printable(found.folder)}'", "current")
    return found


def _choose(root: str, split: str, paths: list[str]) -> FolderImages:
    """Return those of the images in a folder that belong to a split by the names of folders."""
    start = len(os.path.join(root, ""))
    inner = [path[start:].replace(os.sep, "/") for path in paths]
    shared = shared_folders(inner)
    first = next((n for n, part in enumerate(shared) if split_in_name(part)), None)
    if first is not None:  # all images are of one split
        name, shared = shared[first], shared[:first]
        if split_in_name(name) != canonical_split(split):
            _refuse(root, split, [as_prefix(shared) + name])
        return FolderImages(os.path.join(root, *shared, name), paths)
    prefix = as_prefix(shared)
    found = images_of_split([path[len(prefix) :] for path in inner], split)
    others = [prefix + name for name in found.others]
    if not found.indices:
        _refuse(root, split, others)
    if others:
        print_log(
            f"left out of '{printable(root)}': folders of other splits"
            f" ({', '.join(map(printable, others))})",
            "current",
            logging.WARNING,
        )
    chosen = [paths[index] for index in found.indices]
    if len(found.own) == 1:
        return FolderImages(os.path.join(root, *shared, found.own[0]), chosen)
    return FolderImages(root, chosen, split if found.own or others else "")


def _refuse(root: str, split: str, others: Sequence[str]) -> None:
    raise DataNotFoundError(
        f"there is no folder '{printable(os.path.join(root, split))}', but '{printable(root)}' has"
        f" other splits ({', '.join(map(printable, others))}): give the folder to read, such as"
        f" '{printable(os.path.join(root, others[0]))}'"
    )
