"""Names of the splits of a data set, and the folders that are splits."""

import os
import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..archives.hugging_face_archive import canonical_split
from .image_files import IMAGE_SUFFIXES, is_hidden, scan_images

SPLITS = ("train", "val", "test")


def normal_split(split: str) -> str:
    """Return a split or folder as a plain path, without the additions of ``./train/``."""
    return posixpath.normpath(f"/{split}").strip("/")


def is_split(name: str) -> bool:
    """Return whether a folder may be a split by its name."""
    return canonical_split(name) in SPLITS


def splits_among(folders: Iterable[str]) -> list[str]:
    """Return the names of those folders that are splits, sorted.

    A single name of a split beside other folders is a class, such as the trains of CIFAR-100.

    Args:
        folders: names of folders that contain images, side by side; ``""`` for images beside them.
    """
    names = {name for name in folders if name}
    splits = sorted(filter(is_split, names))
    is_alone = len({canonical_split(name) for name in splits}) < 2
    return [] if is_alone and len(splits) < len(names) else splits


def folder_beside(
    root: str | Path, split: str, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> str | None:
    """Return the name of a folder with images that makes ``split`` in ``root`` a class.

    Returns:
        None if ``split`` is no name of a split, or is a split, see :func:`splits_among`.
    """
    if not is_split(split):
        return None
    try:
        with os.scandir(os.fspath(root)) as entries:
            names = [each.name for each in entries if not is_hidden(each.name) and each.is_dir()]
    except OSError:  # a folder may be readable below one that is not
        return None
    if {canonical_split(name) for name in filter(is_split, names)} > {canonical_split(split)}:
        return None
    others = (name for name in sorted(names) if not is_split(name))
    return next((o for o in others if scan_images(os.path.join(root, o), suffixes).paths), None)
