"""Images among the members of archives, and the folders that contain them."""

import posixpath
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import ImageArchive, open_archive
from ..archives.hugging_face_archive import split_names
from ..errors import DataNotFoundError
from ..file_names import printable
from .archive_places import ArchivePlace, name_with_split
from .image_files import IMAGE_SUFFIXES, is_hidden
from .splits import (
    are_clear,
    as_prefix,
    choose_split,
    normal_split,
    plain_split,
    shared_folders,
    split_in_name,
    split_level,
    warn_of_other_splits,
)

LABEL_SUFFIX = ".cls"
"""Of the files with the labels of images in WebDataset."""


class ArchiveMember(NamedTuple):
    """Image in an archive."""

    archive: ImageArchive
    number: int
    name: str
    path: str
    """Normal form of the name, without the folders that all members of the split share."""


def members_at(
    place: ArchivePlace,
    archives: Sequence[ImageArchive],
    strict: bool = False,
    suffixes: Sequence[str] = IMAGE_SUFFIXES,
) -> list[ArchiveMember]:
    """Return the images in the place's folder, with paths relative to it.

    The folder may be named from the top of the archives, or within the folders that all images
    share, because many archives contain one folder. See :func:`archive_images` for the arguments
    and errors.
    """
    members = []
    for archive in archives:
        found, left_out = _images_of(archive, tuple(suffixes))
        members += found
        for kind, names in left_out.items():
            print_log(
                f"left out of '{printable(archive.path)}': {len(names)} {kind} (such as"
                f" '{printable(names[0])}')",
                "current",
            )
    return _below(members, place, strict)


def contains_images(archive: str, suffixes: Sequence[str]) -> bool:
    """Return whether an archive contains images."""
    return bool(_images_of(open_archive(archive), tuple(suffixes))[0])


def folders_below(archives: Sequence[ImageArchive], prefix: str) -> set[str]:
    """Return the names of the visible folders after a prefix that archives list as members.

    These include class folders without images.
    """
    paths = [posixpath.normpath(name).lstrip("/") for each in archives for name in each.folders]
    found = {path[len(prefix) :].partition("/")[0] for path in paths if path.startswith(prefix)}
    return {name for name in found if name and not is_hidden(name)}


def first_folders(paths: Sequence[str], shared: str = "") -> list[str]:
    """Return the first folder of each path after the prefix ``shared``, ``""`` without one."""
    inner = (path[len(shared) :] for path in paths)
    return [path.partition("/")[0] if "/" in path else "" for path in inner]


def _images_of(
    archive: ImageArchive, suffixes: tuple[str, ...]
) -> tuple[list[ArchiveMember], dict[str, list[str]]]:
    """Return the members that are images, and the names of those left out by kind."""
    hides = cache(lambda folder: any(map(is_hidden, folder.split("/"))))
    found, hidden, others = [], [], []
    for index, name in enumerate(archive.names):
        path = posixpath.normpath(name).lstrip("/")
        if not name.lower().endswith(suffixes):
            others.append(ArchiveMember(archive, index, name, path))
        elif is_hidden(posixpath.basename(path)) or hides(posixpath.dirname(path)):
            hidden.append(name)
        else:
            found.append(ArchiveMember(archive, index, name, path))
    if not found and not hidden and all("." not in each.path for each in others):
        return others, {}  # keys and numbers of rows
    unread = [each.name for each in others if not each.name.endswith(LABEL_SUFFIX)]
    left_out = {"hidden images": hidden, "other files": unread}
    return found, {kind: names for kind, names in left_out.items() if names}


def _below(members: list[ArchiveMember], place: ArchivePlace, strict: bool) -> list[ArchiveMember]:
    if not members:
        return members
    if place.split and _has_split_folders(members, place.split):
        with suppress(DataNotFoundError):  # the name of the archive determines the split
            members = _in_split(members, place.split, place) or members
    folder = normal_split(place.folder).lstrip("/")
    if not folder:
        return _inside(members, as_prefix(shared_folders([each.path for each in members])))
    found = None if plain_split(folder) else _in_folder(members, folder)
    found = found or _in_split(members, folder, place)
    if not found and strict and not place.is_named:
        shared, names, _ = split_level([each.path for each in members])
        tops = ", ".join(as_prefix(shared) + printable(name) for name in sorted(names - {""})[:3])
        raise DataNotFoundError(
            f"'{printable(place.archives[0])}' has no folder '{folder}'"
            f"{f', but {tops}' if tops else ''}: store its images as {folder}/CLASS/IMAGE, or give"
            f" a folder with an archive of each split, such as {folder}.tar or {folder}.parquet"
        )
    if not found:
        warn_of_other_splits([each.path for each in members], folder, place.archives[0])
    return found or _below(members, place._replace(folder="", split=""), strict)


def _has_split_folders(members: list[ArchiveMember], split: str) -> bool:
    """Return whether folders in archives of a split are splits and not classes of that name."""
    names = split_level([each.path for each in members]).names
    return len(names) == 1 or are_clear(names, split)


def _in_split(
    members: list[ArchiveMember], wanted: str, place: ArchivePlace
) -> list[ArchiveMember] | None:
    """Return the images in the folders that stand for a split, None if there are no splits."""
    shared, names, classes = split_level([each.path for each in members])
    split = split_in_name(name_with_split(place.archives[0]))
    if {*map(split_in_name, names)} == {split} != {split_in_name(wanted)}:
        return None  # the archive of another split was given
    name, where, around = posixpath.basename(wanted), place.archives[0], as_prefix(shared)
    own = choose_split(names, name, classes.__contains__, where, around)
    return None if own is None else _inside(members, *(f"{around}{each}/" for each in own))


def _in_folder(members: list[ArchiveMember], folder: str) -> list[ArchiveMember] | None:
    """Return the images in a folder that is named from any of those that all images share."""
    shared = shared_folders([each.path for each in members])
    outer, name = posixpath.split(folder)
    names = [posixpath.join(outer, each) for each in split_names(name)]
    places = [[*shared[:depth], each] for depth in range(len(shared) + 1) for each in names]
    found = (_inside(members, as_prefix(each)) for each in places)  # from the top
    return next(filter(None, found), None)


def _inside(members: list[ArchiveMember], *prefixes: str) -> list[ArchiveMember]:
    """Return the images in folders, with paths relative to theirs."""
    return [
        each._replace(path=each.path[len(prefix) :])
        for each in members
        for prefix in prefixes
        if each.path.startswith(prefix)
    ]
