"""Images to pack from a folder, list or archive, with their labels."""

import os
from collections.abc import Sequence
from itertools import pairwise

from pack_names import (
    Source,
    are_mixed,
    folders_around_classes,
    listed_paths,
    named_by_label,
    named_by_path,
    paths_of,
    shared_prefix,
)

from mim_plugins.datasets.archive_images import archive_images, stores_labels
from mim_plugins.datasets.archive_member import first_folders, folders_below
from mim_plugins.datasets.archive_places import (
    ArchivePlace,
    find_archives,
    is_archive_place,
    stem_of,
)
from mim_plugins.datasets.image_files import BAND_SUFFIXES, ImageScan, scan_images
from mim_plugins.datasets.image_lists import paths_in, read_image_list, read_labeled_list
from mim_plugins.datasets.image_places import is_list
from mim_plugins.datasets.images_by_class import classes_of_scan
from mim_plugins.datasets.splits import outline, refuse_splits
from mim_plugins.errors import DataNotFoundError, SplitError
from mim_plugins.file_names import printable, read_lines, unquote_name

_MOST_CLASSES = 1_000_000  # larger labels are times or identifiers, and a pack names all classes


def list_source(source: str) -> Source:
    """Return the images of a folder, list or archive.

    Raises:
        DataNotFoundError: there are no images, two would have the same name, only some have a
            class folder, or they are of several splits.
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
    _refuse_splits(folder, paths, "pack each alone")
    around = folders_around_classes(paths)
    inner = shared_prefix(paths)
    is_deep = not around and any(first_folders(paths, inner))
    if is_deep and len(classes_of_scan(folder, scan, BAND_SUFFIXES)) > 1:
        around = inner  # other folders, such as meta of Food-101, have no images
    _refuse_images_beside(folder, paths, around)
    found = named_by_path(scan.paths, paths, around)
    if found.classes is None:
        return found
    place = os.path.join(folder, around)
    inside = scan_images(place, BAND_SUFFIXES) if around else scan
    return _labeled_in(found, list(classes_of_scan(place, inside, BAND_SUFFIXES)))


def _read_list(file: str) -> Source | None:
    """Keep the paths, unless lines have labels that differ from those of class folders."""
    folder = os.path.dirname(file)
    addresses = read_image_list(file, folder)
    if not addresses:
        return None
    paths = listed_paths(addresses, folder)
    by_path = named_by_path(addresses, paths)
    if addresses == paths_in(folder, [unquote_name(line) for line in read_lines(file)]):
        _refuse_splits(file, paths, "pack a list of each")
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
    if not are_mixed(first_folders(paths, shared_prefix(paths))) and labels == [
        image.label for image in by_path.images
    ]:
        return by_path
    classes = _numbered_classes(file, labels)
    return Source(named_by_label(addresses, labels, None), classes)


def _read_archives(source: str, place: ArchivePlace) -> Source:
    """Keep the labels that archives store, or else the paths of their members."""
    stems = [f"{stem_of(each)}/0" for each in place.archives]
    _refuse_splits(source, stems, "give the archives of one, such as 'data/train-*.tar'")
    found = archive_images(place, stores_labels(place), suffixes=BAND_SUFFIXES)
    paths = paths_of(found.paths, "")
    line = printable(found.paths[0])
    _refuse_splits(source, paths, f"unpack it, or pack lists with lines like '{line}'")
    if found.labels is not None:
        images = named_by_label(found.paths, found.labels, found.classes)
        return Source(images, found.classes or _numbered_classes(source, found.labels))
    shared = shared_prefix(paths)
    _refuse_images_beside(source, paths, shared)
    by_path = named_by_path(found.paths, paths)
    if by_path.classes is None:
        return by_path
    return _labeled_in(by_path, sorted({*by_path.classes, *folders_below(found.archives, shared)}))


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


def _refuse_splits(source: str, paths: Sequence[str], remedy: str) -> None:
    """Refuse paths of different splits."""
    start = len(shared_prefix(paths))
    inner = [path[start:] for path in paths]
    try:
        refuse_splits(outline(inner), [], "", source)
    except SplitError as error:
        raise DataNotFoundError(f"source {error.cause}; a pack has one: {remedy}") from error


def _refuse_images_beside(source: str, paths: Sequence[str], around: str) -> None:
    """Refuse images without a class folder where others have one."""
    folders = first_folders(paths, around)
    beside = [path for path, folder in zip(paths, folders, strict=True) if not folder]
    if beside and any(folders):
        raise DataNotFoundError(
            f"source '{printable(source)}' has {len(beside)} of {len(paths)} images beside class"
            f" folders, such as '{printable(beside[0])}', so they have no label: move them away or"
            " into one; a list (.txt) of the images is packed without labels"
        )
