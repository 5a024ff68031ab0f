"""Images in archives, with their labels."""

import logging
import os
import posixpath
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import ImageArchive, join_address, open_archive, with_common_classes
from ..errors import ArchiveError, DataNotFoundError
from ..file_names import printable
from ..wording import counted
from .archive_places import SPLITS, ArchivePlace
from .image_files import IMAGE_SUFFIXES, is_hidden

_LABEL_SUFFIX = ".cls"  # of WebDataset
_LONGEST_LABEL = 18  # digits that fit 64 bits
_WIDE_READ = 16  # rows, above which reading a Parquet file at random is slow


class ArchiveImages(NamedTuple):
    """Images of archives."""

    paths: list[str]
    """Addresses ``ARCHIVE::MEMBER``."""
    labels: list[int] | None = None
    classes: tuple[str, ...] | None = None
    """Names of the classes, if the archives contain any."""
    archives: tuple[ImageArchive, ...] = ()
    """The archives, whose index other processes need."""


class _Member(NamedTuple):
    archive: ImageArchive
    number: int
    name: str
    path: str
    """Name without the folders that all members share."""


def archive_images(
    place: ArchivePlace,
    labeled: bool = False,
    strict: bool = False,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
) -> ArchiveImages:
    """Return the images of archives, in the order of the archives and of names.

    Labels are those of the format (a column of Parquet), or members ``KEY.cls`` beside
    ``KEY.jpg``, or the numbers of the class folders in sorted order.

    Args:
        place: the archives, and a folder in them.
        labeled: whether to read labels.
        strict: refuse archives without this folder; otherwise they are read completely unless they
            contain other splits.
        suffixes: suffixes of image files; keys of LMDB and rows of tables need none.

    Raises:
        ArchiveError: an archive or its labels are corrupt.
        DataNotFoundError: there are no images.
    """
    archives = [open_archive(path) for path in place.archives]
    members = [each for archive in archives for each in _images_of(archive, tuple(suffixes))]
    members = _below(members, place, strict)
    shown = printable(place.archives[0]) + (" ..." if place.archives[1:] else "")
    if not members:
        raise DataNotFoundError(
            f"no images in the archive '{shown}' (looked for {' '.join(suffixes)})"
        )
    _warn_of_wide_reads(archives)
    labels, classes = _labels_of(members, archives, shown) if labeled else (None, None)
    paths = [join_address(each.archive.path, each.name) for each in members]
    print_log(f"{counted(len(paths), 'image')} in '{shown}'", "current")
    return ArchiveImages(paths, labels, classes, tuple(archives))


def stores_labels(place: ArchivePlace) -> bool:
    """Return whether archives contain labels other than class folders."""
    archives = map(open_archive, place.archives)
    return any(each.stores_labels or _has_label_files(each) for each in archives)


def _has_label_files(archive: ImageArchive) -> bool:
    return any(name.endswith(_LABEL_SUFFIX) for name in archive.names)


def _images_of(archive: ImageArchive, suffixes: tuple[str, ...]) -> list[_Member]:
    """Return the members that are images, with paths in a normal form."""
    hides = cache(lambda folder: any(map(is_hidden, folder.split("/"))))
    found, hidden, others = [], [], []
    for index, name in enumerate(archive.names):
        path = posixpath.normpath(name).lstrip("/")
        if not name.lower().endswith(suffixes):
            others.append(_Member(archive, index, name, path))
        elif is_hidden(posixpath.basename(path)) or hides(posixpath.dirname(path)):
            hidden.append(name)
        else:
            found.append(_Member(archive, index, name, path))
    if not found and not hidden and all("." not in each.path for each in others):
        return others  # keys and numbers of rows
    for kind, names in (("hidden images", hidden), ("other files", [o.name for o in others])):
        if names:
            print_log(
                f"left out of '{printable(archive.path)}': {len(names)} {kind} (such as"
                f" '{printable(names[0])}')",
                "current",
            )
    return found


def _below(members: list[_Member], place: ArchivePlace, strict: bool) -> list[_Member]:
    """Return the members in the place's folder, with paths relative to it.

    The folder may be named from the top of the archives, or within the folders that all members
    share, because many archives contain one folder.
    """
    if not members:
        return members
    parts = shared_folders([each.path for each in members])
    folder = posixpath.normpath(f"/{place.folder}").strip("/")
    root = inside = _as_prefix(parts)
    found = [] if folder else members
    for depth in range(len(parts) + 1) if folder else ():  # from the top
        inside = _as_prefix([*parts[:depth], folder])
        found = [each for each in members if each.path.startswith(inside)]
        if found:
            break
    if not found:
        tops = {each.path[len(root) :].partition("/")[0] for each in members}
        if strict or tops & set(SPLITS):
            is_tree = any("/" in each.path for each in members)
            names = ", ".join(printable(top) for top in sorted(tops)[:3])
            raise DataNotFoundError(
                f"'{printable(place.archives[0])}' has no folder '{folder}'"
                f"{f', but {names}' if is_tree else ''}: store its images as {folder}/CLASS/IMAGE,"
                f" or give a folder with an archive of each split, such as {folder}.tar or"
                f" {folder}.parquet"
            )
        found, inside = members, root
    return [each._replace(path=each.path[len(inside) :]) for each in found]


def shared_folders(paths: Sequence[str]) -> list[str]:
    """Return the folders, from the outermost, that contain all members with these paths."""
    ends = min(paths), max(paths)
    shared = os.path.commonpath([posixpath.dirname(path) for path in ends])
    return [part for part in shared.split("/") if part]


def _as_prefix(parts: list[str]) -> str:
    return "".join(f"{part}/" for part in parts)


def _labels_of(
    members: list[_Member], archives: list[ImageArchive], shown: str
) -> tuple[list[int], tuple[str, ...] | None]:
    if any(archive.stores_labels for archive in archives):
        return _stored_labels(members, archives)
    if any(map(_has_label_files, archives)):
        return [_read_label(each) for each in members], None
    folders = [each.path.partition("/")[0] if "/" in each.path else "" for each in members]
    classes = sorted(set(folders))
    if "" in classes:
        example = members[folders.index("")].name
        raise ArchiveError(
            f"'{shown}' has no label for '{printable(example)}': store CLASS/IMAGE, or KEY.cls with"
            " a number beside KEY.jpg, or in Parquet a column 'label'"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    return [numbers[folder] for folder in folders], tuple(classes)


def _stored_labels(
    members: list[_Member], archives: list[ImageArchive]
) -> tuple[list[int], tuple[str, ...] | None]:
    first = archives[0]
    stored = [(archive, archive.labels()) for archive in archives]
    for archive, found in stored:
        if (found is None) != (stored[0][1] is None):
            raise ArchiveError(
                f"'{printable(archive.path)}' and '{printable(first.path)}': only one has a column"
                " of labels; give both one"
            )
    common = with_common_classes([found for _, found in stored if found is not None])
    for archive, found in zip(archives, common, strict=True):
        if found.classes != common[0].classes:
            raise ArchiveError(
                f"'{printable(archive.path)}' has other classes than '{printable(first.path)}', so"
                " their labels would not mean the same"
            )
    numbers = {each.path: found.numbers for each, found in zip(archives, common, strict=True)}
    labels = [int(numbers[each.archive.path][each.number]) for each in members]
    classes = common[0].classes
    limit = len(classes) if classes else None
    for each, label in zip(members, labels, strict=True):
        if label < 0 or (limit is not None and label >= limit):
            allowed = f"from 0 to {limit - 1}" if limit else "at least 0"
            raise ArchiveError(
                f"'{printable(each.archive.path)}': row {each.name} has the label {label}, but"
                f" labels must be {allowed}"
            )
    return labels, classes


def _read_label(member: _Member) -> int:
    """Return the number in the member that has the key of an image and the suffix .cls."""
    folder, _, name = member.name.rpartition("/")
    key = name.partition(".")[0]
    label = f"{folder}/{key}{_LABEL_SUFFIX}" if folder else f"{key}{_LABEL_SUFFIX}"
    archive = member.archive
    try:
        content = archive.read(archive.find(label))
    except FileNotFoundError:
        raise ArchiveError(
            f"'{printable(archive.path)}' has no '{printable(label)}' beside"
            f" '{printable(member.name)}', but other images have a label"
        ) from None
    except (OSError, ValueError) as error:
        raise ArchiveError(
            f"'{printable(archive.path)}': '{printable(label)}' cannot be read ({error}); copy or"
            " write the archive again"
        ) from error
    text = content[:32].decode("ascii", "replace").strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_LABEL):
        raise ArchiveError(
            f"'{printable(archive.path)}': '{printable(label)}' contains '{printable(text)}', which"
            " is no number from 0"
        )
    return int(text)


def _warn_of_wide_reads(archives: list[ImageArchive]) -> None:
    for archive in archives:
        if archive.rows_per_read > _WIDE_READ:
            print_log(
                f"'{printable(archive.path)}' has {archive.rows_per_read} rows per row group, and"
                " each random read decodes one: tools/dataset_converters/prepare_dataset.py pack"
                " writes files that are read faster",
                "current",
                level=logging.WARNING,
            )
            return
