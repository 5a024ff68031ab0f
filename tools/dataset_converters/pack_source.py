"""Images to pack from a folder, list or archive, with their labels."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import NoReturn

from pack_names import (
    Source,
    listed_paths,
    named_by_label,
    named_by_path,
    paths_of,
    shared_prefix,
    through_split,
)

from mim_plugins.datasets.archive_images import archive_images, stores_labels
from mim_plugins.datasets.archive_member import first_folders, folders_below
from mim_plugins.datasets.archive_places import (
    ArchivePlace,
    find_archives,
    is_archive_place,
    name_with_split,
)
from mim_plugins.datasets.image_files import (
    BAND_SUFFIXES,
    ImageScan,
    classes_of_scan,
    scan_images,
)
from mim_plugins.datasets.image_lists import paths_in, read_image_list, read_labeled_list
from mim_plugins.datasets.image_places import is_list
from mim_plugins.datasets.splits import split_in_name, splits_among
from mim_plugins.errors import DataNotFoundError
from mim_plugins.file_names import printable, read_lines, unquote_name

_MOST_CLASSES = 1_000_000  # larger labels are times or identifiers, and a pack names all classes


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
    """Keep the paths and the labels, those of class folders without images included."""
    paths = paths_of(scan.paths, folder)
    outer = through_split(paths)
    found = named_by_path(scan.paths, paths, outer)
    _refuse_empty_classes(folder, paths, found.splits, partial(_class_folders, folder))
    if found.classes is None:
        return found
    if outer:
        return _labeled_in(found, _class_folders(folder, outer))
    return _labeled_in(found, list(classes_of_scan(folder, scan, BAND_SUFFIXES)))


def _class_folders(folder: str, inside: str) -> list[str]:
    place = os.path.join(folder, inside)
    return list(classes_of_scan(place, scan_images(place, BAND_SUFFIXES), BAND_SUFFIXES))


def _read_list(file: str) -> Source:
    """Keep the paths, unless lines have labels that differ from those of class folders."""
    folder = os.path.dirname(file)
    addresses = read_image_list(file, folder)
    paths = listed_paths(addresses, folder)
    by_path = named_by_path(addresses, paths)
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
    return Source(named_by_label(addresses, labels, None), classes)


def _read_archives(source: str, place: ArchivePlace) -> Source:
    """Keep the labels that archives store, or else the paths of their members."""
    names = splits_among([f"{name_with_split(each)}/0" for each in place.archives])
    splits = {split for name in names if (split := split_in_name(name))}
    are_labeled = stores_labels(place)
    remedy = "give a pattern for each, such as 'data/train-*.tar'"
    if len(splits) > 1 and are_labeled:
        _refuse_splits(source, sorted(splits), remedy)
    found = archive_images(place, are_labeled, suffixes=BAND_SUFFIXES)
    paths = paths_of(found.paths, "")
    by_path = named_by_path(found.paths, paths)
    if found.labels is None:
        shared = shared_prefix(paths)
        have_folders = any("/" in path[len(shared) :] for path in paths)
        if len(splits) > 1 and have_folders and not by_path.splits:
            _refuse_splits(source, sorted(splits), remedy)
        folders_in = partial(folders_below, found.archives)
        _refuse_empty_classes(source, paths, by_path.splits, folders_in)
        if by_path.classes is None:
            return by_path
        return _labeled_in(by_path, sorted({*by_path.classes, *folders_in(shared)}))
    if len(by_path.splits) > 1:
        _refuse_splits(source, by_path.splits, "write an archive of each")
    images = named_by_label(found.paths, found.labels, found.classes)
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


def _labeled_in(found: Source, classes: Sequence[str]) -> Source:
    """Renumber the labels among all classes, those without images included."""
    label_of = {name: label for label, name in enumerate(classes)}
    labels = [label_of[name] for name in found.classes or ()]
    images = [image._replace(label=labels[image.label or 0]) for image in found.images]
    return Source(images, tuple(classes))


def _refuse_empty_classes(
    source: str,
    paths: Sequence[str],
    splits: Sequence[str],
    folders_in: Callable[[str], Iterable[str]],
) -> None:
    """Refuse class folders without images in splits, unless the splits have one class in common.

    Args:
        source: the source.
        paths: paths of its images.
        splits: folders of the splits, in the one that all paths share.
        folders_in: returns the folders below a path that ends in a slash.
    """
    shared = shared_prefix(paths)
    classes = set[str]()
    empty = list[str]()
    for split in splits:
        inside = f"{shared}{split}/"
        given = set(first_folders([path for path in paths if path.startswith(inside)], inside))
        if "" not in given:  # images without a label need no class folders
            classes |= given
            empty += [f"{split}/{name}" for name in sorted({*folders_in(inside)} - given)]
    if empty and len(classes) > 1:
        raise DataNotFoundError(
            f"source '{printable(source)}': class folder '{printable(empty[0])}' has no images, and"
            " a pack of several splits cannot have an empty one: pack each split separately"
        )


def _refuse_splits(source: str, splits: Sequence[str], remedy: str) -> NoReturn:
    raise DataNotFoundError(
        f"source '{printable(source)}' contains the splits {', '.join(splits)}, which a pack would"
        f" mix: pack each one separately, and {remedy}"
    )
