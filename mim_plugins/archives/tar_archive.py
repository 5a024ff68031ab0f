"""Tar archives, also in the layout of WebDataset."""

import posixpath
import tarfile

import numpy as np
from mmengine.logging import print_log

from ..errors import ArchiveError
from ..file_names import printable
from .handles import read_range
from .image_archive import ImageArchive, check_size
from .member_names import MemberNames

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_BLOCK, _CHUNK = 512, 1 << 20
_LONGEST_CHAIN = 40  # links, as in Linux


class TarArchive(ImageArchive):
    """Uncompressed tar archive, whose headers are read once for the offsets of its files.

    Links to files in the archive are followed. Other links, sparse and special files are left out.

    Args:
        path: the archive.
    """

    format_name = "tar archive"
    names: MemberNames

    def read_index(self) -> None:
        """Read all headers."""
        names, places, self.folders = self._read_headers()
        self.names = MemberNames(self.path, names)
        self._places = np.array(places, dtype=np.int64).reshape(-1, 2)[self.names.order]

    def find(self, name: str) -> int:
        """Return the index of a member."""
        return self.names.find(name)

    def read_member(self, index: int) -> bytes:
        """Return the content of a member."""
        offset, size = map(int, self._places[index])
        check_size(size)
        return read_range(self.path, offset, size)

    def _read_headers(self) -> tuple[list[str], list[tuple[int, int]], tuple[str, ...]]:
        """Return names, and offsets and sizes, of the regular files, and the names of folders."""
        names: list[str] = []
        places: list[tuple[int, int]] = []
        links: list[tuple[str, str]] = []
        folders: list[str] = []
        left_out: list[str] = []
        with open(self.path, "rb") as file:
            start = file.read(6)
            for signature, method in _COMPRESSED.items():
                if start.startswith(signature):
                    raise ArchiveError(
                        f"'{printable(self.path)}' is compressed with {method}, which allows no"
                        " random access: decompress it to a plain .tar"
                    )
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # would take gigabytes
                    if member.size < 0:  # would never end
                        raise tarfile.ReadError("negative size")
                    if member.isreg() and not member.issparse():
                        names.append(member.name)
                        places.append((member.offset_data, member.size))
                    elif member.issym() or member.islnk():
                        links.append((member.name, _target(member)))
                    elif member.isdir():
                        folders.append(member.name)
                    else:
                        left_out.append(member.name)
                end = tar.offset
            file.seek(end)
            # tarfile takes a header that it cannot read for the end
            if file.read(_BLOCK) != bytes(_BLOCK):
                raise tarfile.ReadError(f"no end mark at byte {end}")
            while rest := file.read(_CHUNK):
                if rest.count(0) < len(rest):  # joined by cat, for example
                    raise tarfile.ReadError(
                        f"more data after the end mark at byte {end}; join archives with tar -A"
                    )
        left_out += _follow(links, names, places)
        if left_out:
            print_log(
                f"left out of '{printable(self.path)}': {len(left_out)} links to other files,"
                f" sparse or special files (such as '{printable(left_out[0])}')",
                "current",
            )
        return names, places, tuple(folders)


def _target(link: tarfile.TarInfo) -> str:
    """Return the normal path to which a link leads; that of a hard link begins at the top."""
    folder = posixpath.dirname(link.name) if link.issym() else ""
    return posixpath.normpath(posixpath.join(folder, link.linkname))


def _follow(
    links: list[tuple[str, str]], names: list[str], places: list[tuple[int, int]]
) -> list[str]:
    """Add links to members to both lists, and return the names of the others."""
    if not links:
        return []
    place_of = {posixpath.normpath(name): place for name, place in zip(names, places, strict=True)}
    for _ in range(_LONGEST_CHAIN):
        rest = []
        for name, target in links:
            if (place := place_of.get(target)) is None:
                rest.append((name, target))
                continue
            names.append(name)
            places.append(place)
            place_of[posixpath.normpath(name)] = place
        if len(rest) in (0, len(links)):
            break
        links = rest
    return [name for name, _ in rest]
