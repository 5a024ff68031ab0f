"""Images of a split in a folder, or its archives."""

import os
import posixpath
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import NamedTuple

from mmengine.logging import print_log

from ..archives import archive_format, archive_of, is_metadata
from ..errors import DataNotFoundError
from ..file_names import printable
from ..wording import counted, listed
from .archive_places import (
    ArchivePlace,
    archive_place,
    find_archives,
    is_archive_place,
    refuse_stray_images,
    stem_of,
)
from .image_files import ARCHIVES, IMAGE_SUFFIXES, ImageScan, is_hidden, scan_images
from .splits import (
    check_choice,
    choose_split,
    describe_folders,
    names_of_split,
    normal_split,
    outline,
    plain_split,
    refuse_splits,
    shared_folders,
    split_of,
    without_shared_beginning,
)

_SAMPLED = 1000  # files of a folder beside the split, among which images are looked for


class FolderImages(NamedTuple):
    """Images of a split in folders."""

    folders: list[str]
    """The folder; none if no folder is the split."""
    paths: list[str]


class _Contents(NamedTuple):
    """Images and archives in a folder, by relative paths."""

    images: list[str]
    """Outline of the images."""
    archives: dict[str, str]
    """Archives by paths that end in ``STEM/SUFFIX``, as if they were folders."""
    scans: dict[str, ImageScan]
    """Results for complete folders."""

    def add(self, root: str, folder: str, suffixes: Sequence[str]) -> None:
        """Add what a folder contains, at any depth."""
        scan = self.scans[folder] = scan_images(folder, suffixes)
        linked = (os.path.join(link, "image") for link in scan.read_as)  # read as other folders
        self.images.extend(outline(_relative(path, root) for path in (*scan.paths, *linked)))
        for path in scan.left_out.get(ARCHIVES, ()):
            self.add_archive(root, path)

    def add_archive(self, root: str, path: str) -> None:
        """Add an archive."""
        stem = stem_of(path)
        self.archives[f"{_relative(stem, root)}/{path[len(stem) :]}"] = path


def find_split(
    root: str, split: str, suffixes: Sequence[str] = IMAGE_SUFFIXES, strict: bool = False
) -> FolderImages | ArchivePlace:
    """Return the images of a split in a folder, or its archives, and log what is read.

    These are the folder or archive with the name of the split, or else its shards, in ``root`` or
    in the folders that all images share. Otherwise, everything is read.

    Args:
        root: folder, or archives, see :func:`find_archives`.
        split: name of the split, or a folder; ``""`` for everything.
        suffixes: suffixes of image files.
        strict: do not read everything, except archives, which may contain the split.

    Raises:
        SplitError: the choice is not clear, see :func:`check_choice`, or everything must not be
            read, see :func:`refuse_splits`.
        DataNotFoundError: see :func:`archive_place` and :func:`refuse_stray_images`.
    """
    split = normal_split(split)
    place = os.path.join(root, split)
    if is_archive_place(root):
        return find_archives(root, split, strict) or FolderImages([], [])
    if not plain_split(split) and is_archive_place(place):
        return find_archives(place) or FolderImages([], [])
    folder, name = os.path.split(place)
    found = _choose(folder, name, _top(folder, name, suffixes), suffixes, (True,))
    if found is None:
        contents = _Contents([], {}, {})
        contents.add(root, root, suffixes)
        found = _choose(root, split, contents, suffixes, (True, False))
    return found or _everything(root, split, contents, strict)


def _choose(
    root: str, split: str, contents: _Contents, suffixes: Sequence[str], kinds: Sequence[bool]
) -> FolderImages | ArchivePlace | None:
    """Return the images or archives that are a split, exactly if True is among the kinds."""
    archives, short = contents.archives, without_shared_beginning(contents.archives)
    places = contents.images, archives, short if plain_split(split) else {}
    for exact, names in product(kinds, places) if split else ():
        choice = choose_split(names, split, exact)
        if choice is None:
            continue
        archives = short if names is short else contents.archives
        check_choice(choice, contents.images, archives, split, root)
        prefixes = tuple(choice.prefixes)
        if names is contents.images:
            return _read([os.path.join(root, each[:-1]) for each in prefixes], contents, suffixes)
        inside = [path for path in names if path.startswith(prefixes)]
        files = [path for path in inside if f"{posixpath.dirname(path)}/" in prefixes] or inside
        return archive_place([archives[each] for each in files], posixpath.basename(split), True)
    return None


def _everything(
    root: str, split: str, contents: _Contents, strict: bool
) -> FolderImages | ArchivePlace:
    """Return all images or archives, if no names may be other splits."""
    scan, archives = contents.scans[root], [*contents.archives.values()]
    if split:
        refuse_splits(contents.images, [*contents.archives], split, root)
    if archives and (strict or not scan.paths):
        return archive_place(archives, split)
    if strict and split:
        return FolderImages([], [])
    _refuse_empty_split(root, split, scan.paths)
    refuse_stray_images(root, scan)
    return _read([root], contents)


def _refuse_empty_split(root: str, split: str, paths: Sequence[str]) -> None:
    """Refuse to read everything beside the folder of a split, such as one that is not mounted."""
    shared = shared_folders([_relative(path, root) for path in paths]) if paths and split else []
    for depth in range(len(shared) + 1 if split else 0):
        around = os.path.join(root, *shared[:depth])
        for name in names_of_split(os.listdir(around), split, exact=True):
            if os.path.isdir(place := os.path.join(around, name)):
                raise DataNotFoundError(
                    f"'{printable(place)}' contains no images: restore them, or remove the folder"
                )


def _read(folders: list[str], contents: _Contents, suffixes: Sequence[str] = ()) -> FolderImages:
    """Return the images of folders, and log their number."""
    paths = list[str]()
    for folder in folders:
        scan = contents.scans.get(folder) or scan_images(folder, suffixes)
        scan.warn_of_left_out(folder)
        paths += scan.paths
    if paths:
        places = listed([f"'{printable(each)}'" for each in folders])
        start = os.path.commonpath(folders)
        counts = describe_folders([_relative(path, start) for path in paths])
        print_log(f"{counted(len(paths), 'image')} in {places}{counts}", "current")
    return FolderImages(folders, paths)


def _top(folder: str, split: str, suffixes: Sequence[str]) -> _Contents:
    """Return the contents of what is exactly a split at the top of a folder, if anything is.

    What is beside it is then only sampled, because it may be large.
    """
    names: list[str] = []
    with suppress(OSError):
        names = [name for name in sorted(os.listdir(folder)) if not is_hidden(name)]
    own = names_of_split(map(stem_of, names), split, exact=True)
    contents = _Contents([], {}, {})
    for name in names if own else ():
        path, kind = os.path.join(folder, name), plain_split(split)
        if archive_format(path) and not is_metadata(path):
            contents.add_archive(folder, path)
        elif name in own and os.path.isdir(path):
            contents.add(folder, path, suffixes)
        elif kind and split_of(name) not in (None, kind):
            contents.images.append(f"{name}/0/0")
        elif kind and (inner := _sample(path, tuple(suffixes))):
            contents.images.append(f"{name}/{inner}")
        elif kind and name.lower().endswith(tuple(suffixes)):
            contents.images.append("0")
    return contents


def _sample(path: str, suffixes: tuple[str, ...]) -> str:
    """Return the path of an image or archive in a folder, as far as the first ones show."""
    seen = 0
    for place, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not is_hidden(name)]
        names = [name for name in names if not is_hidden(name)]
        if any(each.lower().endswith(suffixes) or archive_of(each) for each in names):
            return "0" if place == path and not folders else "0/0"
        seen += len(names)
        if seen > _SAMPLED:
            break
    return ""


def _relative(path: str, root: str) -> str:
    return path[len(os.path.join(root, "")) :].replace(os.sep, "/")
