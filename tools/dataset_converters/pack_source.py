"""Images to pack, with unique names that keep their labels."""

import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

from mim_plugins.archives import is_url, split_address
from mim_plugins.datasets.archive_images import archive_images, shared_folders, stores_labels
from mim_plugins.datasets.archive_places import (
    SPLITS,
    ArchivePlace,
    find_archives,
    is_archive_place,
    split_of,
)
from mim_plugins.datasets.image_files import (
    BAND_SUFFIXES,
    ImageScan,
    classes_of_scan,
    is_hidden,
    scan_images,
)
from mim_plugins.datasets.image_lists import paths_in, read_image_list, read_labeled_list
from mim_plugins.datasets.image_places import is_list
from mim_plugins.errors import DataNotFoundError
from mim_plugins.file_names import printable, read_lines, unquote_name

_MOST_CLASSES = 1_000_000  # larger labels are times or identifiers, and a pack names all classes


class PackedImage(NamedTuple):
    """Image to pack."""

    address: str
    name: str
    """Path in the pack: CLASS/IMAGE if it has a label."""
    label: int | None

    def files(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield names and contents in an archive of files: the image, and its label if needed.

        An image in a folder has the label of the folder; others need a file for it, as in
        WebDataset.
        """
        yield self.name, data
        if self.label is not None and "/" not in self.name:
            yield f"{self.name.partition('.')[0]}.cls", str(self.label).encode()


class Source(NamedTuple):
    """Images to pack, with their labels."""

    images: list[PackedImage]
    classes: tuple[str, ...] | None = None
    """Names of the classes, None without labels."""
    splits: tuple[str, ...] = ()
    """Names of the splits whose folders contain the images."""


def list_source(source: str) -> Source:
    """Return the images of a folder, list or archive.

    Raises:
        DataNotFoundError: there are no images, two would have the same name, or their labels would
            not mean the same.
        ArchiveError: an archive or its labels are corrupt.
        ValueError: some lines of a list have a label, but not all.
    """
    found = _read(source)
    if found is None or not found.images:
        raise DataNotFoundError(
            f"source '{printable(source)}' has no images: give a folder, list or archive"
        )
    names = sorted(image.name for image in found.images)
    for first, second in pairwise(names):
        if first == second:
            remedy = (
                "remove one from the list" if is_list(source) else "pack its archives separately"
            )
            raise DataNotFoundError(
                f"source '{printable(source)}' has two images of the name '{printable(first)}':"
                f" {remedy}"
            )
    return found


def _read(source: str) -> Source | None:
    if not is_archive_place(source):
        if is_list(source):
            return _read_list(source)
        if os.path.isdir(source):
            scan = scan_images(source, BAND_SUFFIXES)
            scan.warn_of_left_out(source)
            if scan.paths:
                return _read_folder(source, scan)
    place = find_archives(source)
    return _read_archives(source, place) if place else None


def _read_folder(folder: str, scan: ImageScan) -> Source:
    """Keep the paths, unless there are class folders without images, which a pack cannot have."""
    paths = _paths(scan.paths, folder)
    found = _named_by_path(scan.paths, paths)
    for split in found.splits:
        place = os.path.join(folder, _before_splits(paths), split)
        part = scan_images(place, BAND_SUFFIXES)
        if any(os.path.dirname(path) == place for path in part.paths):
            continue  # images without a label need no class folders
        classes = classes_of_scan(place, part, BAND_SUFFIXES)
        empty = next((name for name, paths in classes.items() if not paths), None)
        if empty is not None:
            raise DataNotFoundError(
                f"source '{printable(folder)}': class folder '{printable(f'{split}/{empty}')}' has"
                " no images, and a pack of several splits cannot have an empty one: pack each split"
                " separately"
            )
    if found.classes is None:
        return found
    classes = classes_of_scan(folder, scan, BAND_SUFFIXES)
    if len(found.classes) == len(classes):
        return found
    names = tuple(scan.sub_folders)
    label_of = {name: label for label, name in enumerate(names)}
    labels = [label_of[found.classes[image.label or 0]] for image in found.images]
    return Source(_named_by_label(scan.paths, labels, names), names)


def _read_list(file: str) -> Source:
    """Keep the paths, unless lines have labels that differ from those of class folders."""
    folder = os.path.dirname(file)
    addresses = read_image_list(file, folder)
    by_path = _named_by_path(addresses, _paths(addresses, folder))
    if addresses == paths_in(folder, [unquote_name(line) for line in read_lines(file)]):
        return by_path
    entries = read_labeled_list(file)
    named = paths_in(folder, [name for name, _ in entries])
    for path, expected in zip(named, addresses, strict=True):
        if path != expected:
            raise ValueError(
                f"'{printable(file)}' has more than a label after '{printable(expected)}'; give"
                " every line a path and a label from 0, or a path alone"
            )
    labels = [label for _, label in entries]
    if labels == [image.label for image in by_path.images]:
        return by_path
    classes = _numbered_classes(file, labels)
    return Source(_named_by_label(addresses, labels, None), classes)


def _read_archives(source: str, place: ArchivePlace) -> Source:
    """Keep the labels that archives store, or else the paths of their members."""
    splits = {split: archive for archive in place.archives if (split := split_of(archive))}
    are_labeled = stores_labels(place)
    remedy = "give a pattern for each, such as 'data/train-*.tar'"
    if len(splits) > 1 and are_labeled:
        _refuse_splits(source, sorted(splits), remedy)
    found = archive_images(place, are_labeled, suffixes=BAND_SUFFIXES)
    paths = _paths(found.paths, "")
    shared = _before_splits(paths)
    by_path = _named_by_path(found.paths, paths, shared)
    if found.labels is None:
        have_folders = any("/" in path[len(shared) :] for path in paths)
        if len(splits) > 1 and have_folders and not by_path.splits:
            _refuse_splits(source, sorted(splits), remedy)
        return by_path
    if len(by_path.splits) > 1:
        _refuse_splits(source, by_path.splits, "write an archive of each")
    images = _named_by_label(found.paths, found.labels, found.classes)
    return Source(images, found.classes or _numbered_classes(source, found.labels))


def _numbered_classes(source: str, labels: Sequence[int]) -> tuple[str, ...]:
    """Return the numbers of the classes as their names."""
    largest = max(labels)
    if largest >= _MOST_CLASSES:
        raise DataNotFoundError(
            f"source '{printable(source)}' has the label {largest}, but labels must be below"
            f" {_MOST_CLASSES:,}: number its classes from 0"
        )
    return tuple(map(str, range(largest + 1)))


def _refuse_splits(source: str, splits: Sequence[str], remedy: str) -> NoReturn:
    raise DataNotFoundError(
        f"source '{printable(source)}' contains the splits {', '.join(splits)}, which a pack would"
        f" mix: pack each one separately, and {remedy}"
    )


def _paths(addresses: Sequence[str], root: str) -> list[str]:
    """Return paths relative to a folder, paths of members, or numbers for rows of tables."""
    members = [split_address(each) for each in addresses]
    if all(member and member[1].isdecimal() for member in members):
        width = len(str(len(addresses)))
        return [f"{number:0{width}d}" for number in range(len(addresses))]
    names = _names_of_urls(addresses)
    return [
        names.get(each) or _inner_path(member[1] if member else os.path.relpath(each, root))
        for each, member in zip(addresses, members, strict=True)
    ]


def _named_by_path(addresses: Sequence[str], paths: Sequence[str], shared: str = "") -> Source:
    """Keep the paths; the first folders after ``shared`` are the classes if all images have one.

    Folders that all images share may contain splits.
    """
    tops = set(_folders(paths, _before_splits(paths)))
    splits = tuple(sorted(tops & set(SPLITS)))
    folders = _folders(paths, shared)
    classes = sorted(set(folders))
    if "" in classes or splits:
        images = [PackedImage(*pair, None) for pair in zip(addresses, paths, strict=True)]
        return Source(images, None, splits)
    label_of = {name: label for label, name in enumerate(classes)}
    labels = map(label_of.__getitem__, folders)
    return Source(list(map(PackedImage, addresses, paths, labels)), tuple(classes))


def _before_splits(paths: Sequence[str]) -> str:
    """Return the folders that all paths share, up to that of a split."""
    shared = shared_folders(paths)
    count = next((n for n, part in enumerate(shared) if part in SPLITS), len(shared))
    return "".join(f"{part}/" for part in shared[:count])


def _folders(paths: Sequence[str], shared: str) -> list[str]:
    """Return the first folder of each path after ``shared``, ``""`` without one."""
    inner = [path[len(shared) :] for path in paths]
    return [path.partition("/")[0] if "/" in path else "" for path in inner]


def _names_of_urls(addresses: Sequence[str]) -> dict[str, str]:
    """Return the paths of URLs, with a number where hosts or queries alone differ."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    taken: set[str] = set()
    for url in dict.fromkeys(filter(is_url, addresses)):
        location = url.partition("://")[2]  # after the scheme, before which MMEngine has a cluster
        path = _inner_path("/" + urlsplit(f"//{location}").path) or "image"
        name = path
        while name in taken:
            counts[path] += 1
            root, suffix = posixpath.splitext(path)
            name = f"{root}_{counts[path]}{suffix}"
        taken.add(name)
        names[url] = name
    return names


def _inner_path(path: str) -> str:
    """Return a path that stays inside a folder."""
    parts = posixpath.normpath(path).split("/")
    return "/".join(part for part in parts if part not in ("", ".."))


def _named_by_label(
    addresses: Sequence[str], labels: Sequence[int], classes: tuple[str, ...] | None
) -> list[PackedImage]:
    """Put images into class folders if these number the classes as before.

    Names without a folder stand for a label in a file of its own.
    """
    names = classes or ()
    are_folders = (
        sorted(set(labels)) == list(range(len(names)))
        and list(names) == sorted(set(names))
        and not any("/" in name or not name or is_hidden(name) for name in names)
    )
    digits = len(str(len(addresses)))
    return [
        PackedImage(
            address, f"{names[label]}/{n:0{digits}d}" if are_folders else f"{n:0{digits}d}", label
        )
        for n, (address, label) in enumerate(zip(addresses, labels, strict=True))
    ]
