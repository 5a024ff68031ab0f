"""Names of the images in a pack, which keep their labels."""

import os
import posixpath
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from mim_plugins.archives import is_url, split_address
from mim_plugins.datasets.archive_member import first_folders
from mim_plugins.datasets.image_files import is_hidden
from mim_plugins.datasets.splits import as_prefix, plain_split, refuse_splits, shared_folders
from mim_plugins.errors import SplitError
from mim_plugins.file_names import printable


class PackedImage(NamedTuple):
    """Image to pack."""

    address: str
    name: str
    """Path in the pack, CLASS/IMAGE if that is its label."""
    label: int | None


class Source(NamedTuple):
    """Images to pack, with their labels."""

    images: list[PackedImage]
    classes: tuple[str, ...] | None = None
    """Names of the classes, None without labels."""


def paths_of(addresses: Sequence[str], root: str) -> list[str]:
    """Return paths relative to a folder, paths of members, or numbers for rows of tables."""
    members = [split_address(each) for each in addresses]
    if all(member and member[1].isdecimal() for member in members):
        width = len(str(len(addresses)))
        return [f"{number:0{width}d}" for number in range(len(addresses))]
    return [
        _path_of_url(each)
        if is_url(each)
        else _inner_path(member[1] if member else os.path.relpath(each, root))
        for each, member in zip(addresses, members, strict=True)
    ]


def listed_paths(addresses: Sequence[str], root: str) -> list[str]:
    """Return :func:`paths_of` any images, which are found in a pack and differ with the addresses.

    Hidden names begin with an underscore. Names have a number where images of other archives,
    hosts or queries have the same.
    """
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    taken: set[str] = set()
    for address, listed in zip(addresses, paths_of(addresses, root), strict=True):
        if address in names:
            continue  # a repeated line is an error
        name = path = "/".join(map(_visible, listed.split("/")))
        while name in taken:
            counts[path] += 1
            stem, suffix = posixpath.splitext(path)
            name = f"{stem}_{counts[path]}{suffix}"
        taken.add(name)
        names[address] = name
    return [names[each] for each in addresses]


def _visible(name: str) -> str:
    while is_hidden(name):
        name = f"_{name.lstrip('.')}"
    return name


def named_by_path(
    addresses: Sequence[str], paths: Sequence[str], around: str | None = None
) -> Source:
    """Keep the paths; the first folders after ``around`` are the classes if all images have one.

    ``around`` are by default the folders that all images share.
    """
    folders = first_folders(paths, shared_prefix(paths) if around is None else around)
    classes = sorted(set(folders))
    if "" in classes:
        return Source([PackedImage(*pair, None) for pair in zip(addresses, paths, strict=True)])
    label_of = {name: label for label, name in enumerate(classes)}
    labels = map(label_of.__getitem__, folders)
    return Source(list(map(PackedImage, addresses, paths, labels)), tuple(classes))


def have_folders_of_labels(images: Sequence[PackedImage], classes: Sequence[str]) -> bool:
    """Return whether folders give the images these labels and classes, where an archive is read."""
    paths = [image.name for image in images]
    folders = first_folders(paths, shared_prefix(paths))
    label_of = {name: label for label, name in enumerate(classes)}
    return sorted(set(folders)) == list(classes) and all(
        label_of[folder] == image.label for folder, image in zip(folders, images, strict=True)
    )


def shared_prefix(paths: Sequence[str]) -> str:
    """Return the folders that all paths share."""
    return as_prefix(shared_folders(paths))


def folders_around_classes(paths: Sequence[str]) -> str:
    """Return the folders that all paths share through the first split, ``""`` without one.

    A split without folders is a class.
    """
    shared = shared_folders(paths)
    count = next((n for n, part in enumerate(shared, 1) if plain_split(part)), 0)
    around = as_prefix(shared[:count])
    return around if any(first_folders(paths, around)) else ""


def are_mixed(names: Iterable[str]) -> bool:
    """Return whether class folders of these names would be read as splits."""
    try:
        refuse_splits([f"{name}/0" for name in names], [], "", "")
    except SplitError:
        return True
    return False


def _path_of_url(url: str) -> str:
    location = url.partition("://")[2]  # after the scheme, before which MMEngine has a cluster
    return _inner_path("/" + urlsplit(f"//{location}").path) or "image"


def _inner_path(path: str) -> str:
    """Return a path that stays inside a folder."""
    parts = posixpath.normpath(path).split("/")
    return "/".join(part for part in parts if part not in ("", ".."))


def describe_folders_in_class(source: str, found: Source) -> str:
    """Return a warning if the only class, or a split, contains folders that may be the classes."""
    classes = found.classes or ()
    for label, name in enumerate(classes):
        if len(classes) > 1 and not plain_split(name):
            continue
        names = [image.name for image in found.images if image.label == label]
        shared = shared_prefix(names) if names else ""
        folders = sorted(set(first_folders(names, shared)) - {""})
        if len(folders) > 1:
            return (
                f"warning: '{printable(name)}' is one class; if its folders, such as"
                f" '{printable(folders[0])}', are the classes, pack"
                f" '{printable(os.path.join(source, shared))}'"
            )
    return ""


def named_by_label(
    addresses: Sequence[str], labels: Sequence[int], classes: tuple[str, ...] | None
) -> list[PackedImage]:
    """Give images numbers, in class folders if these number the classes as before."""
    names = classes or ()
    are_folders = (
        sorted(set(labels)) == list(range(len(names)))
        and list(names) == sorted(set(names))
        and not any("/" in name or not name or is_hidden(name) for name in names)
        and not are_mixed(names)
    )
    digits = len(str(len(addresses)))
    return [
        PackedImage(
            address, f"{names[label]}/{n:0{digits}d}" if are_folders else f"{n:0{digits}d}", label
        )
        for n, (address, label) in enumerate(zip(addresses, labels, strict=True))
    ]


def why_unnamed(image: PackedImage, name: str | None, kind: str, given: Container[str]) -> str:
    """Return why an image cannot have its name with a suffix in a pack, ``""`` if it can.

    Args:
        image: the image.
        name: its name with a suffix; None if its format has no suffix that is read.
        kind: format of the pack; rows of Parquet need no names.
        given: names of all images, with or without a suffix.
    """
    if kind == "parquet" or name == image.name:
        return ""
    if name is None:
        return (
            f"'{printable(image.address)}': {kind} needs a suffix, and its format has none that is"
            " read; pack it into .parquet"
        )
    if name in given:
        return (
            f"'{printable(image.address)}': with a suffix, it would have the name"
            f" '{printable(name)}' of another image; rename it, or pack into .parquet"
        )
    return ""
