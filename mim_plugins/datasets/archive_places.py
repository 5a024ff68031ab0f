"""Search for the archives of a data root and a split."""

import glob
import os
from collections.abc import Collection
from typing import NamedTuple

from ..archives import FORMATS, HUB, archive_format, format_of_suffix, is_metadata
from ..archives.handles import file_identity
from ..archives.hugging_face_archive import split_names
from ..errors import DataNotFoundError
from ..file_names import printable
from ..wording import counted
from .image_files import ARCHIVES, ImageScan, scan_images
from .splits import names_of_split, normal_split, split_of

_FOREIGN = (
    ".7z", ".arrow", ".bz2", ".gz", ".h5", ".hdf5", ".rar", ".rec", ".tfrecord", ".tgz", ".xz",
    ".zst",
)  # fmt: skip
_STRAY = 10  # images, such as a logo, beside archives that are the data


class ArchivePlace(NamedTuple):
    """Archives that contain the images of a split."""

    archives: list[str]
    """Their paths, sorted."""
    folder: str
    """Folder inside them, ``""`` for all images."""
    is_named: bool = False
    """The archives have the name of the folder, and may therefore consist of its images."""


def is_archive_place(root: str) -> bool:
    """Return whether a data root is an archive, or a pattern that matches some.

    A folder with archives in it is a folder.
    """
    return archive_format(root) is not None or bool(_matches(root))


def find_archives(root: str, split: str = "", strict: bool = False) -> ArchivePlace | None:
    """Return all archives of a data root, or None if there are none.

    ``root`` is an archive, a pattern such as ``data/train-*.tar``, a data set of the hub or a
    folder. If the archives contain the folder ``split``, only its images are read.

    Args:
        root: data root.
        split: name of the split, or folder in the archives; ``""`` for everything.
        strict: refuse ``hf://NAME#SPLIT`` with another split than ``split``. Otherwise its own
            split is read, because ``split`` may be a default, and so is an archive that is another
            split.

    Raises:
        DataNotFoundError: see :func:`archive_place`.
    """
    split = normal_split(split)
    if root.startswith(HUB):
        return ArchivePlace([with_split(root, split, strict)], "")
    if not is_archive_place(root):
        found = scan_images(root).left_out.get(ARCHIVES) if os.path.isdir(root) else None
        return archive_place(found, split) if found else None
    archives = _matches(root) or [root]
    names = [[*map(os.path.basename, (stem_of(each), os.path.dirname(each)))] for each in archives]
    is_own = all(names_of_split(each, os.path.basename(split), exact=False) for each in names)
    is_given = not strict and all(split_of(stem) for stem, _ in names)
    return archive_place(archives, split, is_own or is_given)


def archive_place(
    archives: Collection[str], folder: str = "", is_named: bool = False
) -> ArchivePlace:
    """Return the place of archives, each file once.

    Raises:
        DataNotFoundError: two archives differ in their suffix alone.
    """
    files = {file_identity(path): path for path in sorted(archives, key=_links_last, reverse=True)}
    groups: dict[str, list[str]] = {}
    for path in sorted(files.values()):
        groups.setdefault(stem_of(path), []).append(path)
    for paths in groups.values():
        if len(paths) > 1:
            raise DataNotFoundError(
                f"'{printable(paths[0])}' and '{printable(paths[1])}' have the same name: give the"
                " path of one as data, or remove one"
            )
    return ArchivePlace([path for paths in groups.values() for path in paths], folder, is_named)


def stem_of(archive: str) -> str:
    """Return the path of an archive without its suffix."""
    return os.path.splitext(archive)[0] if format_of_suffix(archive) else archive


def refuse_stray_images(root: str, scan: ImageScan) -> None:
    """Refuse to read a few images of a folder, such as a logo, instead of its archives.

    Raises:
        DataNotFoundError: there are archives, and few images.
    """
    images, archives = scan.paths, scan.left_out.get(ARCHIVES, ())
    if archives and 0 < len(images) <= _STRAY:
        raise DataNotFoundError(
            f"'{printable(root)}' has {counted(len(images), 'image')} such as"
            f" '{printable(images[0])}', and {counted(len(archives), 'archive')} such as"
            f" '{printable(archives[0])}': give the path of those to read, or a pattern of archives"
        )


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


def describe_foreign(folder: str) -> str:
    """Return the first archive in a folder, at any depth, whose format is not read, or ``""``."""
    for place, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.lower().endswith(_FOREIGN):
                path = os.path.join(place, name)
                return f"; '{printable(path)}' {describe_unread(path)}"
    return ""


def _links_last(path: str) -> tuple[bool, str]:
    return os.path.islink(path), path


def _matches(pattern: str) -> list[str]:
    if not glob.has_magic(pattern) or os.path.exists(pattern):
        return []
    found = sorted(glob.glob(pattern, recursive=True))
    return [path for path in found if archive_format(path) and not is_metadata(path)]
