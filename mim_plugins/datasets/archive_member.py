"""Images among the members of archives, and the folders that contain them."""

import logging
import os
import posixpath
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import ImageArchive
from ..archives.hugging_face_archive import canonical_split, split_names
from ..errors import DataNotFoundError
from ..file_names import printable
from .archive_places import ArchivePlace, split_of
from .image_files import IMAGE_SUFFIXES, is_hidden
from .splits import (
    SPLITS,
    class_of_paths,
    images_of_split,
    is_split,
    normal_split,
    split_in_name,
)

LABEL_SUFFIX = ".cls"
"""Of the files with the labels of images in WebDataset."""


class ArchiveMember(NamedTuple):
    """Image in an archive."""

    archive: ImageArchive
    number: int
    name: str
    path: str
    """Normal form of the name, without the folders that all members share."""


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


def has_split_as_class(
    archives: Sequence[ImageArchive], suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> bool:
    """Return whether a class has the name of a split, see :func:`class_among`."""
    paths = [each.path for archive in archives for each in _images_of(archive, tuple(suffixes))[0]]
    shared = as_prefix(shared_folders(paths)) if paths else ""
    return class_of_paths(path[len(shared) :] for path in paths) is not None


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


def shared_folders(paths: Sequence[str]) -> list[str]:
    """Return the folders, from the outermost, that contain all members with these paths."""
    ends = min(paths), max(paths)
    shared = os.path.commonpath([posixpath.dirname(path) for path in ends])
    return [part for part in shared.split("/") if part]


def as_prefix(parts: Sequence[str]) -> str:
    """Return the beginning of the paths in nested folders."""
    return "".join(f"{part}/" for part in parts)


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
    if place.split:
        members = _in_split(members, place.split)[0] or members
    parts = shared_folders([each.path for each in members])
    root = as_prefix(parts)
    folder = normal_split(place.folder).lstrip("/")
    found, inside = _in_folder(members, parts, folder) if folder else (members, root)
    if folder and not found:
        found, inside = _in_split(members, folder)
    if not found:
        chosen = images_of_split([each.path[len(root) :] for each in members], folder)
        is_refused = not chosen.indices or _is_other_split(parts, folder, place)
        if is_refused or (strict and (chosen.others or not place.is_named)):
            is_tree = any("/" in each.path for each in members)
            depth = next((n for n, part in enumerate(parts) if is_split(part)), len(parts))
            tops = {each.path.split("/")[depth] for each in members}
            names = ", ".join(printable(top) for top in sorted(tops)[:3])
            raise DataNotFoundError(
                f"'{printable(place.archives[0])}' has no folder '{folder}'"
                f"{f', but {names}' if is_tree else ''}: store its images as {folder}/CLASS/IMAGE,"
                f" or give a folder with an archive of each split, such as {folder}.tar or"
                f" {folder}.parquet"
            )
        found, inside = [members[index] for index in chosen.indices], root
        if chosen.others:
            print_log(
                f"left out of '{printable(place.archives[0])}': folders of other splits"
                f" ({', '.join(map(printable, chosen.others))})",
                "current",
                level=logging.WARNING,
            )
    elif folder and not strict:
        _warn_of_classes(members, place, inside, len(found))
    return [each._replace(path=each.path[len(inside) :]) for each in found]


def _is_other_split(parts: Sequence[str], folder: str, place: ArchivePlace) -> bool:
    """Return whether all images are in the folder of a split that was not chosen."""
    alone = next(filter(None, map(split_in_name, parts)), None)
    split = canonical_split(folder)
    return bool(alone) and split in SPLITS and alone not in (split, split_of(place.archives[0]))


def _in_split(members: list[ArchiveMember], split: str) -> tuple[list[ArchiveMember], str]:
    """Return the images in the folders that stand for a split, and the prefix of all."""
    parts = shared_folders([each.path for each in members])
    root = as_prefix(parts)
    chosen = images_of_split([each.path[len(root) :] for each in members], split)
    if not chosen.own:
        return [], root
    inside = as_prefix([*parts, *chosen.own]) if len(chosen.own) == 1 else root
    return [members[index] for index in chosen.indices], inside


def _in_folder(
    members: list[ArchiveMember], parts: Sequence[str], folder: str
) -> tuple[list[ArchiveMember], str]:
    """Return the images in a folder that is named from any of the shared ones, and its prefix."""
    outer, name = posixpath.split(folder)
    names = [posixpath.join(outer, each) for each in split_names(name)]
    for depth in range(len(parts) + 1):  # from the top
        for each in names:
            inside = as_prefix([*parts[:depth], each])
            found = [member for member in members if member.path.startswith(inside)]
            if found:
                return found, inside
    return [], ""


def _warn_of_classes(
    members: list[ArchiveMember], place: ArchivePlace, inside: str, count: int
) -> None:
    """Log a warning if the folder that is read seems to be a class."""
    outer, name = posixpath.split(inside.rstrip("/"))
    around = f"{outer}/" if outer else ""
    paths = (each.path[len(around) :] for each in members if each.path.startswith(around))
    if is_split(name) and class_of_paths(paths) == name:
        print_log(
            f"data_prefix='{place.folder}' reads {count} of {len(members)} images of"
            f" '{printable(place.archives[0])}', but '{name}' seems to be a class, because"
            " it is one of many folders of images: data_prefix='' reads all images",
            "current",
            level=logging.WARNING,
        )
