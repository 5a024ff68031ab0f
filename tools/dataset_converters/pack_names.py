"""Names of the images in a pack, which keep their labels."""

import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple
from urllib.parse import urlsplit

from mim_plugins.archives import is_url, split_address
from mim_plugins.datasets.archive_member import as_prefix, first_folders, shared_folders
from mim_plugins.datasets.image_files import is_hidden
from mim_plugins.datasets.splits import is_split, splits_among


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


def paths_of(addresses: Sequence[str], root: str) -> list[str]:
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


def named_by_path(addresses: Sequence[str], paths: Sequence[str], shared: str = "") -> Source:
    """Keep the paths; the first folders after ``shared`` are the classes if all images have one.

    Folders that all images share may contain splits.
    """
    splits = tuple(splits_among(first_folders(paths, before_splits(paths))))
    folders = first_folders(paths, shared)
    classes = sorted(set(folders))
    if "" in classes or splits:
        images = [PackedImage(*pair, None) for pair in zip(addresses, paths, strict=True)]
        return Source(images, None, splits)
    label_of = {name: label for label, name in enumerate(classes)}
    labels = map(label_of.__getitem__, folders)
    return Source(list(map(PackedImage, addresses, paths, labels)), tuple(classes))


def before_splits(paths: Sequence[str]) -> str:
    """Return the folders that all paths share, up to that of a split."""
    shared = shared_folders(paths)
    return as_prefix(list(takewhile(lambda part: not is_split(part), shared)))


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


def named_by_label(
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
