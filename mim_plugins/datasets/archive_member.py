"""Images among the members of archives, and the folders that contain them."""

import posixpath
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import ImageArchive
from ..errors import SplitError
from ..file_names import printable
from .archive_places import ArchivePlace, stem_of
from .image_files import IMAGE_SUFFIXES, is_hidden
from .splits import (
    are_shards,
    as_prefix,
    check_choice,
    choose_split,
    normal_split,
    outline,
    plain_split,
    refuse_splits,
    shared_folders,
    split_of,
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
    found = []
    for archive in archives:
        members, left_out = _images_of(archive, tuple(suffixes))
        found.append(members)
        for kind, names in left_out.items():
            print_log(
                f"left out of '{printable(archive.path)}': {len(names)} {kind} (such as"
                f" '{printable(names[0])}')",
                "current",
            )
    are_parts = len(archives) > 1 and are_shards([stem_of(each.path) for each in archives])
    if are_parts and all(map(_is_in_shard_folder, found)):
        found = [_inside(members, f"{members[0].path.partition('/')[0]}/") for members in found]
    return _below([each for members in found for each in members], place, strict)


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


def _is_in_shard_folder(members: list[ArchiveMember]) -> bool:
    """Return whether the images of an archive are in folders in one with the archive's name."""
    stem = posixpath.basename(stem_of(members[0].archive.path)) if members else ""
    return bool(members) and all(
        each.path.startswith(f"{stem}/") and each.path.count("/") > 1 for each in members
    )


def _below(members: list[ArchiveMember], place: ArchivePlace, strict: bool) -> list[ArchiveMember]:
    """Return the images of the place's folder, or all of them."""
    paths, where = outline(each.path for each in members), place.archives[0]
    wanted = normal_split(place.folder).lstrip("/")
    for exact in (True, False) if wanted and members else ():
        choice = choose_split(paths, wanted, exact)
        # in an archive of a split, folders are classes unless one is another split
        if choice and (
            not place.is_named
            or not plain_split(posixpath.basename(wanted))
            or not choice.beside
            or any(map(split_of, choice.beside))
        ):
            check_choice(choice, paths, [], wanted, where)
            return _inside(members, *choice.prefixes)
    if wanted and members and not place.is_named:
        refuse_splits(paths, [], wanted, where)
        if strict:
            raise SplitError(
                f"'{printable(where)}' has no folder '{wanted}'",
                f"store its images as {wanted}/CLASS/IMAGE, or give a folder with an archive of"
                f" each split, such as {wanted}.tar or {wanted}.parquet",
            )
    return _inside(members, as_prefix(shared_folders(paths)) if members else "")


def _inside(members: list[ArchiveMember], *prefixes: str) -> list[ArchiveMember]:
    """Return the images in folders, with paths relative to theirs."""
    return [
        each._replace(path=each.path[len(prefix) :])
        for each in members
        for prefix in prefixes
        if each.path.startswith(prefix)
    ]
