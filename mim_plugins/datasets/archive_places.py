"""Search for the archives of a data root and a split."""

import glob
import logging
import os
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import FORMATS, HUB, archive_format, format_of_suffix
from ..archives.hugging_face_archive import canonical_split, split_names
from ..errors import DataNotFoundError
from ..file_names import printable
from .image_files import is_hidden
from .splits import SPLITS, normal_split, split_in_name

_FOREIGN = (
    ".7z", ".arrow", ".bz2", ".gz", ".h5", ".hdf5", ".rar", ".rec", ".tfrecord", ".tgz", ".xz",
    ".zst",
)  # fmt: skip
_AFTER_NAME = (".", "-", "_")  # images.tar, images-00000-of-00010.parquet, images_0.zip


class ArchivePlace(NamedTuple):
    """Archives that contain the images of a split."""

    archives: list[str]
    """Their paths, sorted."""
    folder: str
    """Folder inside them, ``""`` for all images."""
    is_named: bool = False
    """The archives have the name of the folder, and may therefore consist of its images."""
    split: str = ""
    """Split that the archives stand for. If they have folders of it, only these are read."""


def is_archive_place(root: str) -> bool:
    """Return whether a data root is an archive, or a pattern that matches some.

    A folder with archives in it is a folder.
    """
    return archive_format(root) is not None or bool(_matches(root))


def find_archives(root: str, split: str = "", strict: bool = False) -> ArchivePlace | None:
    """Return the archives of a split, or None if there are none.

    ``root`` is an archive, a pattern such as ``data/train-*.tar``, a data set of the hub or a
    folder. In a folder, the archives of a split are those in its sub-folder of this name, or those
    whose name stands for it (see :func:`split_in_name`), or else all that stand for no split.
    ``val``, ``validation`` and ``valid`` are the same. Archives whose name begins with another
    folder are also chosen. If the archives contain the folder, only its images are read.

    Args:
        root: data root.
        split: name of the split, or folder in the archives; ``""`` for everything.
        strict: refuse ``hf://NAME#SPLIT`` with another split than ``split``. Otherwise its own
            split is read, because ``split`` may be a default.

    Raises:
        DataNotFoundError: all archives belong to other splits.
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
    splits = {each: name for each in inside if (name := _split_in_stem(each))}
    if _is_plain_split(first) and splits:
        others = ", ".join(sorted(set(splits.values())))
        inside = [each for each in inside if each not in splits]
        if not inside:
            raise DataNotFoundError(
                f"'{printable(root)}' has archives of {others}, but none of {first}: name them"
                f" {first}.tar or {first}-00.tar, for example"
            )
        print_log(
            f"left out of '{printable(root)}': archives of other splits ({others})",
            "current",
            logging.WARNING,
        )
    is_outside = split and first in ("", "..")  # absolute, or above the root
    return ArchivePlace(inside, split) if inside and not is_outside else None


def archives_of_split(root: str, split: str) -> ArchivePlace | None:
    """Return the archives in a folder that belong to a split or folder by their place or name.

    See :func:`find_archives`.
    """
    split = normal_split(split)
    first, _, rest = split.partition("/")
    own = canonical_split(first) if _is_plain_split(first) else ""
    outer_and_inner = [(split, ""), (first, rest)] if own else [(split, "")]
    for outer, inner in outer_and_inner if split else ():
        for name in split_names(outer):
            folder = os.path.join(root, name)
            found = [folder] if archive_format(folder) else _archives_in(folder)
            if found:
                return ArchivePlace(found, inner, split=own)
    inside = _archives_in(root)
    if own:
        found = [each for each in inside if _split_in_stem(each) == own]
        return ArchivePlace(found, rest, split=own) if found else None
    found = [each for each in inside if split and _begins_with(each, split)]
    return ArchivePlace(found, split, is_named=True) if found else None


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
    folder = os.path.basename(os.path.dirname(archive))
    return _split_in_stem(archive) or split_in_name(folder)


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


def _is_plain_split(name: str) -> bool:
    """Return whether a name is that of a split alone, which archives with longer names contain."""
    return canonical_split(name) in SPLITS


def _split_in_stem(archive: str) -> str | None:
    return split_in_name(os.path.splitext(os.path.basename(archive))[0])


def _begins_with(archive: str, name: str) -> bool:
    given = os.path.basename(archive).lower()
    return given.startswith(name) and given[len(name) :].startswith(_AFTER_NAME)


def _matches(pattern: str) -> list[str]:
    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return []
    return [path for path in sorted(glob.glob(pattern)) if archive_format(path)]
