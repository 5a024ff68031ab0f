"""Images to pack, with unique names that keep their labels."""

import os
import posixpath
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from mim_plugins.archives import split_address
from mim_plugins.datasets.archive_images import archive_images, stores_labels
from mim_plugins.datasets.archive_places import SPLITS, find_archives
from mim_plugins.datasets.image_files import BAND_SUFFIXES, is_hidden
from mim_plugins.datasets.image_places import images_at, is_list
from mim_plugins.errors import DataNotFoundError
from mim_plugins.file_names import printable

_JPEG_SUFFIXES = (".jpg", ".jpeg")
_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    ".jpg": (b"\xff\xd8\xff",),
    ".png": (b"\x89PNG",),
    ".webp": (b"RIFF",),
    ".gif": (b"GIF8",),
    ".bmp": (b"BM",),
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".npy": (b"\x93NUMPY",),
    ".npz": (b"PK\x03\x04",),
}


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

    def with_suffix_of(self, data: bytes) -> "PackedImage":
        """Return the image with a suffix of its content's format, which rows of tables lack."""
        is_jpeg = data.startswith(_SIGNATURES[".jpg"])
        known = _JPEG_SUFFIXES if is_jpeg else BAND_SUFFIXES
        if self.name.lower().endswith(known):
            return self
        found = (suffix for suffix, start in _SIGNATURES.items() if data.startswith(start))
        return self._replace(name=f"{self.name}{next(found, '')}")


def list_source(source: str) -> tuple[list[PackedImage], tuple[str, ...] | None]:
    """Return the images of a folder, list or archive, and the names of their classes, if any.

    Raises:
        DataNotFoundError: there are no images, or two would have the same name.
        ArchiveError: an archive or its labels are corrupt.
    """
    addresses = images_at(source, BAND_SUFFIXES)
    if addresses == [source] or not addresses:
        raise DataNotFoundError(
            f"source '{printable(source)}' has no images: give a folder, list or archive"
        )
    place = find_archives(source) if split_address(addresses[0]) and not is_list(source) else None
    if place and stores_labels(place):
        found = archive_images(place, labeled=True, suffixes=BAND_SUFFIXES)
        assert found.labels is not None
        images, classes = _named_by_label(found.paths, found.labels, found.classes), found.classes
        classes = classes or tuple(map(str, range(max(found.labels) + 1)))
    else:
        images, classes = _named_by_path(addresses, source)
    names = sorted(image.name for image in images)
    for first, second in pairwise(names):
        if first == second:
            raise DataNotFoundError(
                f"source '{printable(source)}' has two images of the name '{printable(first)}';"
                " pack its archives separately"
            )
    return images, classes


def _named_by_path(
    addresses: Sequence[str], source: str
) -> tuple[list[PackedImage], tuple[str, ...] | None]:
    """Keep the paths; the first folders are the classes if every image is in one."""
    root = source if os.path.isdir(source) else os.path.dirname(source)
    members = [split_address(each) for each in addresses]
    if all(member and member[1].isdecimal() for member in members):  # rows without labels
        width = len(str(len(addresses)))
        numbers = enumerate(addresses)
        return [PackedImage(each, f"{n:0{width}d}", None) for n, each in numbers], None
    names = [
        _inner_path(member[1] if member else os.path.relpath(each, root))
        for each, member in zip(addresses, members, strict=True)
    ]
    folders = [name.partition("/")[0] if "/" in name else "" for name in names]
    classes = sorted(set(folders))
    if "" in classes or set(classes) & set(SPLITS):
        return [PackedImage(*pair, None) for pair in zip(addresses, names, strict=True)], None
    label_of = {name: label for label, name in enumerate(classes)}
    labels = map(label_of.__getitem__, folders)
    return list(map(PackedImage, addresses, names, labels)), tuple(classes)


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
