"""Search for the archives of a data root and a split."""

import glob
import os
from typing import NamedTuple

from ..archives import FORMATS, HUB, archive_format, format_of_suffix
from ..archives.hugging_face_archive import split_names
from ..errors import DataNotFoundError
from ..file_names import printable
from .image_files import is_hidden
from .splits import SPLITS, is_split, normal_split

_FOREIGN = (
    ".7z", ".arrow", ".bz2", ".gz", ".h5", ".hdf5", ".rar", ".rec", ".tfrecord", ".tgz", ".xz",
    ".zst",
)  # fmt: skip
_AFTER_SPLIT = (".", "-", "_")  # train.tar, train-00000-of-00010.parquet, train_0.zip


class ArchivePlace(NamedTuple):
    """Archives that contain the images of a split."""

    archives: list[str]
    """Their paths, sorted."""
    folder: str
    """Folder inside them, ``""`` if they contain this split alone."""
    is_named: bool = False
    """The archives have the name of the folder, and may therefore consist of its images."""


def is_archive_place(root: str) -> bool:
    """Return whether a data root is an archive, or a pattern that matches some.

    A folder with archives in it is a folder.
    """
    return archive_format(root) is not None or bool(_matches(root))


def find_archives(root: str, split: str = "", strict: bool = False) -> ArchivePlace | None:
    """Return the archives of a split, or None if there are none.

    ``root`` is an archive, a pattern such as ``data/train-*.tar``, a data set of the hub or a
    folder. In a folder, the archives of a split are those in its sub-folder of this name, or those
    whose name begins with it, or else all. ``val``, ``validation`` and ``valid`` are the same.
    Archives with the name of another folder are also chosen, but if they contain the folder, only
    its images are read.

    Args:
        root: data root.
        split: name of the split, or folder in the archives; ``""`` for everything.
        strict: refuse ``hf://NAME#SPLIT`` with another split than ``split``. Otherwise its own
            split is read, because ``split`` may be a default.

    Raises:
        DataNotFoundError: the archives belong to other splits.
    """
    split = normal_split(split)
    if root.startswith(HUB):
        return ArchivePlace([with_split(root, split, strict)], "")
    matches = _matches(root)
    if matches or archive_format(root):
        return ArchivePlace(matches or [root], split)
    if not os.path.isdir(root):
        return None
    if place := archives_of_split(root, split):
        return place
    inside = _archives_in(root)
    first = split.partition("/")[0]
    others = {name for name in SPLITS for each in inside if _is_of_split(each, name)}
    if is_split(first) and others:
        raise DataNotFoundError(
            f"'{printable(root)}' has archives of {', '.join(sorted(others))}, but none of {first}:"
            f" name them {first}.tar or {first}-00.tar, for example"
        )
    is_outside = split and first in ("", "..")  # absolute, or above the root
    return ArchivePlace(inside, split) if inside and not is_outside else None


def archives_of_split(root: str, split: str) -> ArchivePlace | None:
    """Return the archives in a folder that belong to a split or folder by their place or name.

    See :func:`find_archives`.
    """
    split = normal_split(split)
    first, _, rest = split.partition("/")
    outer_and_inner = [(split, ""), (first, rest)] if is_split(first) else [(split, "")]
    for outer, inner in outer_and_inner if split else ():
        for name in split_names(outer):
            folder = os.path.join(root, name)
            if archive_format(folder):
                return ArchivePlace([folder], inner)
            if found := _archives_in(folder):
                return ArchivePlace(found, inner)
            if found := [each for each in _archives_in(root) if _is_of_split(each, name)]:
                is_named = not is_split(first)
                return ArchivePlace(found, split if is_named else inner, is_named)
    return None


def with_split(root: str, split: str, strict: bool = False) -> str:
    """Return the address of a split of the hub; other roots stay as they are.

    See :func:`find_archives` for arguments and errors.
    """
    name, _, own = root.partition("#")
    split = normal_split(split)
    if not split or not root.startswith(HUB):
        return root
    if strict and own and split not in split_names(own):
        raise DataNotFoundError(
            f"'{printable(root)}' is the split '{printable(own)}' alone, but the split"
            f" '{printable(split)}' is needed: give '{printable(name)}', which has all splits"
        )
    return root if own else f"{name}#{split}"


def split_of(archive: str) -> str | None:
    """Return the split that the name of an archive, or else of its folder, stands for, if any."""
    by_name = (split for split in SPLITS if _is_of_split(archive, split))
    folder = os.path.basename(os.path.dirname(archive)).lower()
    by_folder = (split for split in SPLITS if folder in split_names(split))
    return next(by_name, None) or next(by_folder, None)


def list_of_archive(data_root: str, ann_file: str) -> str:
    """Return the path of a list, which an archive as data root cannot contain."""
    if not ann_file or not is_archive_place(data_root):
        return ann_file
    folder = "" if data_root.startswith(HUB) else os.path.dirname(data_root)
    return os.path.abspath(os.path.join(folder, os.path.expanduser(ann_file)))


def describe_unread(path: str) -> str:
    """Return what is wrong with a path that is neither a folder, a list nor an archive."""
    if not os.path.exists(path):
        return "does not exist"
    if path.lower().endswith(_FOREIGN):
        return f"has a format that is not read; supported are {FORMATS}"
    return f"is not a folder, and no archive either; supported are {FORMATS}"


def _archives_in(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    paths = [os.path.join(folder, name) for name in names if not is_hidden(name)]
    return [path for path in paths if format_of_suffix(path) and archive_format(path)]


def _is_of_split(path: str, split: str) -> bool:
    name = os.path.basename(path).lower()
    return any(
        name.startswith(each) and name[len(each) :].startswith(_AFTER_SPLIT)
        for each in split_names(split)
    )


def _matches(pattern: str) -> list[str]:
    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return []
    return [path for path in sorted(glob.glob(pattern)) if archive_format(path)]
