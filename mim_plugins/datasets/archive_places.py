"""Search for the archives of a data root and a split."""

import glob
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

from ..archives import FORMATS, HUB, archive_format, format_of_suffix
from ..archives.hugging_face_archive import split_names
from ..errors import DataNotFoundError
from ..file_names import printable
from .image_files import is_folder, is_hidden
from .splits import choose_split, normal_split, plain_split, split_in_name

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
    folder. In a folder, these are the archives in its sub-folder of the split, or those chosen by
    :func:`choose_split`, or all if they are no splits, of the folder or of the only one in it with
    archives. Archives whose name begins with another folder are also chosen. If the archives
    contain the folder, only its images are read.

    Args:
        root: data root.
        split: name of the split, or folder in the archives; ``""`` for everything.
        strict: refuse ``hf://NAME#SPLIT`` with another split than ``split``. Otherwise its own
            split is read, because ``split`` may be a default.

    Raises:
        DataNotFoundError: see :func:`choose_split`.
    """
    split = normal_split(split)
    if root.startswith(HUB):
        return ArchivePlace([with_split(root, split, strict)], "")
    matches = _matches(root)
    if matches or archive_format(root):
        return ArchivePlace(matches or [root], split)
    if not os.path.isdir(root):
        return None
    place = archives_of_split(root, split)
    if place or split.partition("/")[0] == ".." or os.path.isabs(split):
        return place
    inside = _archives_at(root)
    folders = [] if inside else [os.path.join(root, name) for name in _names_in(root)]
    folders = [each for each in folders if _archives_at(each)]
    if len(folders) == 1:  # such as data of a copy from the hub
        return find_archives(folders[0], split)
    is_class = any(plain_split(_stem(each)) == (plain_split(split) or "") for each in inside)
    return ArchivePlace(inside, "" if is_class else split) if inside else None


def archives_of_split(
    root: str,
    split: str,
    beside: Collection[str] = (),
    is_read: Callable[[str], bool] = os.path.exists,
) -> ArchivePlace | None:
    """Return the archives in a folder that belong to a split or folder by their place or name.

    Args:
        root: the folder.
        split: see :func:`find_archives`, also for the errors.
        beside: folders of images, without the split, to choose among as well.
        is_read: whether an archive of the split contains images.
    """
    if split and (found := _archives_at(os.path.join(root, split))):
        return ArchivePlace(found, "", split=plain_split(split) or "")
    first, _, rest = split.partition("/")
    if first in ("", ".."):
        return None
    groups = _archives_by_name(root)
    named = [each for name in groups if _begins_with(name, split) for each in groups[name]]
    if named and not plain_split(first):
        return ArchivePlace(named, split, is_named=True)
    kind = split_in_name(first) or first
    names = {
        name
        for name, found in groups.items()
        if split_in_name(name) != kind or any(map(is_read, found))
    }
    if beside and kind not in map(split_in_name, names):
        return None
    own = choose_split({*names, *beside}, first, groups.__contains__, root) or []
    found = [each for name in own for each in groups[name]]
    return ArchivePlace(found, rest, split=kind) if found else None


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


def name_with_split(archive: str) -> str:
    """Return the name of an archive, or that of its folder if this one alone stands for a split."""
    folder = os.path.basename(os.path.dirname(archive))
    is_named = split_in_name(_stem(archive)) or not split_in_name(folder)
    return _stem(archive) if is_named else folder


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


def _archives_at(path: str) -> list[str]:
    """Return the archives in a folder, or the archive that a path is."""
    if archive_format(path):
        return [path]
    paths = [os.path.join(path, name) for name in _names_in(path)]
    return [each for each in paths if format_of_suffix(each) and archive_format(each)]


def _archives_by_name(root: str) -> dict[str, list[str]]:
    """Return archives by their names without suffix, or by their folders, if these are splits."""
    found: dict[str, list[str]] = {}
    for path in _archives_at(root):
        found.setdefault(_stem(path), []).append(path)
    for name in filter(split_in_name, _folders_in(root)):
        if not format_of_suffix(name) and (inside := _archives_at(os.path.join(root, name))):
            found[name] = inside
    return found


def _folders_in(root: str) -> list[str]:
    with suppress(OSError), os.scandir(root) as entries:  # no request of the disk per image
        return sorted(each.name for each in entries if not is_hidden(each.name) and is_folder(each))
    return []


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not is_hidden(name))
    except OSError:
        return []


def _stem(archive: str) -> str:
    return os.path.splitext(os.path.basename(archive))[0]


def _begins_with(name: str, folder: str) -> bool:
    start, given = folder.lower(), name.lower()
    return given.startswith(start) and (given[len(start) :] or ".").startswith(_AFTER_NAME)


def _matches(pattern: str) -> list[str]:
    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return []
    found = sorted(glob.glob(pattern, recursive=True))
    return [path for path in found if archive_format(path)]
