"""Images in archives, with their labels."""

import logging
import posixpath
from collections.abc import Sequence
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import (
    SEPARATOR,
    ImageArchive,
    format_of_suffix,
    join_address,
    open_archive,
    with_common_classes,
)
from ..errors import ArchiveError, DataNotFoundError
from ..file_names import printable
from ..wording import counted
from .archive_member import LABEL_SUFFIX, ArchiveMember, first_folders, folders_below, members_at
from .archive_places import ArchivePlace
from .image_files import IMAGE_SUFFIXES
from .splits import describe_folders

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


def archive_images(
    place: ArchivePlace,
    labeled: bool = False,
    strict: bool = False,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
) -> ArchiveImages:
    """Return the images of archives, in the order of the archives and of names.

    Labels are those of the format (a column of Parquet), or members ``KEY.cls`` beside
    ``KEY.jpg``, or the numbers of the class folders in sorted order. An empty class
    folder counts if the archive has an entry for it, as ``tar`` and ``zip -r`` write.

    Args:
        place: the archives, and a folder in them.
        labeled: whether to read labels.
        strict: refuse archives without this folder and its name; otherwise they are read completely
            unless they contain other splits.
        suffixes: suffixes of image files; keys of LMDB and rows of tables need none.

    Raises:
        ArchiveError: an archive or its labels are corrupt.
        DataNotFoundError: there are no images.
    """
    archives = [open_archive(path) for path in place.archives]
    found = images_in(archives, place, labeled, strict, suffixes)
    _warn_of_wide_reads(archives)
    print_log(
        f"{counted(len(found.paths), 'image')} in '{_shown(place)}'{_counts(found.paths)}",
        "current",
    )
    return found


def images_in(
    archives: Sequence[ImageArchive],
    place: ArchivePlace,
    labeled: bool = False,
    strict: bool = False,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
) -> ArchiveImages:
    """Return the images of the opened archives of a place; see :func:`archive_images`."""
    members = members_at(place, archives, strict, suffixes)
    shown = _shown(place)
    if not members:
        inner = (name for each in archives for name in each.names if format_of_suffix(name))
        example = next(inner, None)
        remedy = f": unpack its archives, such as '{printable(example)}'" if example else ""
        raise DataNotFoundError(
            f"no images in the archive '{shown}' (looked for {' '.join(suffixes)}){remedy}"
        )
    labels, classes = _labels_of(members, archives, shown) if labeled else (None, None)
    paths = [join_address(each.archive.path, each.name) for each in members]
    return ArchiveImages(paths, labels, classes, tuple(archives))


def _shown(place: ArchivePlace) -> str:
    return printable(place.archives[0]) + (" ..." if place.archives[1:] else "")


def _counts(addresses: Sequence[str]) -> str:
    members = (address.partition(SEPARATOR)[2] for address in addresses)
    return describe_folders([posixpath.normpath(name) for name in members])


def stores_labels(place: ArchivePlace) -> bool:
    """Return whether archives contain labels other than class folders."""
    archives = map(open_archive, place.archives)
    return any(each.stores_labels or _has_label_files(each) for each in archives)


def _has_label_files(archive: ImageArchive) -> bool:
    return any(name.endswith(LABEL_SUFFIX) for name in archive.names)


def _labels_of(
    members: list[ArchiveMember], archives: Sequence[ImageArchive], shown: str
) -> tuple[list[int], tuple[str, ...] | None]:
    if any(archive.stores_labels for archive in archives):
        return _stored_labels(members, archives)
    if any(map(_has_label_files, archives)):
        return [_read_label(each) for each in members], None
    folders = first_folders([each.path for each in members])
    _refuse_folders_of_archives(members)
    full = [(posixpath.normpath(each.name).lstrip("/"), each.path) for each in members]
    inside = {name[: len(name) - len(path)] for name, path in full}
    classes = sorted(
        {*folders, *(name for each in inside for name in folders_below(archives, each))}
    )
    if "" in classes:
        example = members[folders.index("")].name
        raise ArchiveError(
            f"'{shown}' has no label for '{printable(example)}': store CLASS/IMAGE, or KEY.cls with"
            " a number beside KEY.jpg, or in Parquet a column 'label'"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    return [numbers[folder] for folder in folders], tuple(classes)


def _refuse_folders_of_archives(members: list[ArchiveMember]) -> None:
    """Refuse archives that have a folder of their own each, which may be classes or shards."""
    outer = {(each.archive.path, each.path.partition("/")[0]) for each in members}
    archives, folders = ({*each} for each in zip(*outer, strict=True))
    is_flat = any(each.path.count("/") < 2 for each in members)
    if len(outer) == len(archives) == len(folders) > 1 and not is_flat:
        archive, folder = min(outer)
        raise ArchiveError(
            f"'{printable(archive)}' and {counted(len(outer) - 1, 'other archive')} have a folder"
            f" of folders each, such as '{printable(folder)}', which is a class or the name of the"
            " archive: store CLASS/IMAGE in all, or read one archive or a list"
        )


def _stored_labels(
    members: list[ArchiveMember], archives: Sequence[ImageArchive]
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


def _read_label(member: ArchiveMember) -> int:
    """Return the number in the member that has the key of an image and the suffix .cls."""
    folder, _, name = member.name.rpartition("/")
    key = name.partition(".")[0]
    label = f"{folder}/{key}{LABEL_SUFFIX}" if folder else f"{key}{LABEL_SUFFIX}"
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


def _warn_of_wide_reads(archives: Sequence[ImageArchive]) -> None:
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
