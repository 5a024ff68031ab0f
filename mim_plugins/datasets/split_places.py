"""Images of a split in a folder, or its archives."""

import os
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from mmengine.logging import print_log

from ..file_names import printable
from ..wording import counted
from .archive_member import contains_images
from .archive_places import ArchivePlace, archives_of_split, find_archives, is_archive_place
from .image_files import IMAGE_SUFFIXES, ImageScan, scan_images
from .splits import (
    as_prefix,
    choose_split,
    class_in_folder,
    normal_split,
    split_in_name,
    split_level,
    warn_of_other_splits,
)


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

    In a folder, these are the images in ``ROOT/SPLIT``, or else in the folders that stand for it,
    or else the archives that do, see :func:`choose_split`, or else all images, or all archives.

    Args:
        root: folder, or archives, see :func:`find_archives`.
        split: name of the split, or a folder; ``""`` for everything.
        suffixes: suffixes of image files.

    Raises:
        DataNotFoundError: see :func:`choose_split`.
    """
    if is_archive_place(root):
        return find_archives(root, split) or FolderImages(root, [])
    split = normal_split(split)
    folder = os.path.join(root, split) if split else root
    is_exact = os.path.isdir(folder) and split != class_in_folder(root, suffixes)
    folder = folder if is_exact else root
    scan = scan_images(folder, suffixes)
    if scan.paths and not is_exact:
        found = _choose(root, split, scan, suffixes)
    else:
        scan.warn_of_left_out(folder)
        found = FolderImages(folder, scan.paths)
        if not scan.paths:
            found = find_archives(root, split) or found
    if isinstance(found, FolderImages) and found.paths:
        print_log(f"{counted(len(found.paths), 'image')} in '{printable(found.folder)}'", "current")
    return found


def _choose(
    root: str, split: str, scan: ImageScan, suffixes: Sequence[str]
) -> FolderImages | ArchivePlace:
    """Choose among the folders of images, and the archives if none of these is the split."""
    start = len(os.path.join(root, ""))
    linked = (os.path.join(link, "image") for link in scan.read_as)  # read as other folders
    paths = [path[start:].replace(os.sep, "/") for path in (*scan.paths, *linked)]
    shared, names, classes = split_level(paths)
    name = os.path.basename(split)
    if (split_in_name(name) or split) not in map(split_in_name, (*shared, *names)):
        is_read = partial(contains_images, suffixes=suffixes)
        if place := archives_of_split(root, split, names, is_read):
            return place
    own = choose_split(names, name, classes.__contains__, root, as_prefix(shared))
    if own is None:
        scan.warn_of_left_out(root)
        warn_of_other_splits(paths, split, root)
        return FolderImages(root, scan.paths)
    folders = [os.path.join(root, *shared, name) for name in own]
    scans = [scan_images(folder, suffixes) for folder in folders]  # follows links to the others
    for folder, each in zip(folders, scans, strict=True):
        each.warn_of_left_out(folder)
    found = [path for each in scans for path in each.paths]
    return FolderImages(folders[0], found) if len(own) == 1 else FolderImages(root, found, split)
