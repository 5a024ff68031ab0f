"""Zip archives."""

import struct
import zipfile
import zlib

import numpy as np

from ..errors import ArchiveError
from ..file_names import printable
from .handles import read_range
from .image_archive import ImageArchive, check_size
from .member_names import MemberNames

_HEADER, _SIGNATURE = 30, b"PK\x03\x04"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


class ZipArchive(ImageArchive):
    """Zip archive, whose directory is read once.

    The module zipfile reads the directory. Its objects have one position in the file for all
    processes, so members are read by their offsets.

    Args:
        path: the archive.
    """

    format_name = "zip archive"
    names: MemberNames

    def read_index(self) -> None:
        """Read the directory."""
        path = self.path
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        members = [each for each in entries if not each.is_dir()]
        self.folders = tuple(each.filename for each in entries if each.is_dir())
        for each in members:
            if each.flag_bits & _ENCRYPTED or each.compress_type not in _METHODS:
                kind = "encrypted" if each.flag_bits & _ENCRYPTED else "compressed by a rare method"
                raise ArchiveError(
                    f"'{printable(path)}': '{printable(each.filename)}' is {kind}; write the"
                    " archive again, stored or deflated"
                )
        self.names = MemberNames(path, [each.filename for each in members])
        self._places = np.array(
            [
                (each.header_offset, each.compress_size, each.file_size, each.compress_type)
                for each in members
            ],
            dtype=np.int64,
        ).reshape(-1, 4)[self.names.order]
        self._checksums = np.array([each.CRC for each in members], np.uint32)[self.names.order]

    def find(self, name: str) -> int:
        """Return the index of a member."""
        return self.names.find(name)

    def read_member(self, index: int) -> bytes:
        """Return the content of a member, whose checksum is verified."""
        offset, stored, size, method = map(int, self._places[index])
        check_size(max(size, stored))
        header = read_range(self.path, offset, _HEADER)
        if not header.startswith(_SIGNATURE):
            raise ValueError("no header of a member where the directory of the archive names one")
        name_length, extra_length = struct.unpack_from("<HH", header, _HEADER - 4)
        data = read_range(self.path, offset + _HEADER + name_length + extra_length, stored)
        if method == zipfile.ZIP_DEFLATED:
            data = _inflate(data, size)
        if len(data) != size or zlib.crc32(data) != self._checksums[index]:
            raise ValueError("content differs from its size or checksum in the archive")
        return data


def _inflate(data: bytes, size: int) -> bytes:
    """Decompress at most ``size`` bytes, whatever the data would expand to."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size) if size else b""
    except zlib.error as error:
        raise ValueError(str(error)) from error
