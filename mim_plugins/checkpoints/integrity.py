"""Detection of corrupt checkpoints by a digest, or else by their structure and checksums.

PyTorch's files are zip archives. PyTorch checks neither the CRC-32 of a record nor the directory,
so a flipped bit may change a tensor's content or remove it. Files of this package end in a zip
comment with the SHA-256 of all preceding bytes. As part of the file, it survives a renaming.
"""

import hashlib
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from .digest_file import COMMENT_LENGTH, DIGEST_TAG, DigestFile

_HEX = 64
_END = struct.Struct("<4s4H2IH")  # end of an archive; the last field is the length of the comment
_LOCAL = struct.Struct(
    "<4s5H3I2H"
)  # header of a record; the last fields are the lengths of name and extra
_FLAGS = (0, 0x8, 0x800, 0x808)  # bits: a descriptor follows the data, names are in UTF-8
_DESCRIPTORS = (16, 24)  # bytes
_FOLDER = 0x10  # of a record's attributes; PyTorch reads nothing from one
_BLOCK = 2**22


def write_with_digest(path: Path, content: Any) -> None:
    """Write a file; a zip archive, such as a PyTorch checkpoint, gets a digest as its comment.

    Args:
        path: the file to write.
        content: bytes of the file, or what ``torch.save`` writes to it without a copy in memory.

    Raises:
        OSError: the disk is full, or another failure.
    """
    with path.open("wb") as file:
        is_object = not isinstance(content, bytes)
        if not (is_object or _is_archive(content)):
            file.write(content)
            return
        sealed: Any = DigestFile(file)
        if is_object:
            torch.save(content, sealed)
        else:
            sealed.write(content)
        sealed.finish()


def has_digest(file: BinaryIO) -> bool:
    """Return whether :func:`write_with_digest` added a digest to a file."""
    return _tail(file, COMMENT_LENGTH).startswith(DIGEST_TAG)


def find_corruption(file: BinaryIO) -> str | None:
    """Return why a checkpoint is corrupt, or None.

    The complete file is read. In files without a digest, such as those of MMEngine's hook, the
    directory must have the form that PyTorch writes, and each record's CRC-32 must match.
    """
    try:
        if not _tail(file, 1):
            return "the file is empty"
        if has_digest(file):
            return None if _digest_matches(file) else "its SHA-256 digest does not match"
        return _find_in_archive(file)
    except MemoryError:
        raise
    except Exception as error:  # corrupt bytes end in errors of any kind
        return f"the file is truncated or overwritten ({str(error) or type(error).__name__})"


def find_corrupt_record(file: BinaryIO) -> str | None:
    """Return why PyTorch would take other bytes from a zip archive than were written, or None.

    It checks the CRC-32 of each record, which PyTorch does not check, and everything that the
    readers of PyTorch and Python may interpret differently. Unlike in :func:`find_corruption`,
    archives of other programs pass, and so do files that are no archives.
    """
    try:
        if not zipfile.is_zipfile(file):
            return None
        with zipfile.ZipFile(file) as archive:
            for record in archive.infolist():
                if record.external_attr & _FOLDER and record.file_size:
                    return f"its record '{record.filename}' is marked as a folder"
                is_stored = record.compress_type == zipfile.ZIP_STORED
                if is_stored and record.compress_size != record.file_size:
                    return f"its record '{record.filename}' has two sizes"
                file.seek(record.header_offset)
                if _LOCAL.unpack(file.read(_LOCAL.size))[3] != record.compress_type:
                    return f"the two headers of its record '{record.filename}' differ"
            if _stored_count(file, archive) != min(len(archive.infolist()), 0xFFFF):
                return "the directory's number of records was changed"
            corrupt = archive.testzip()
    except MemoryError:
        raise
    except Exception as error:  # corrupt bytes end in errors of any kind
        return f"its archive is truncated or overwritten ({str(error) or type(error).__name__})"
    return None if corrupt is None else f"the checksum of its record '{corrupt}' does not match"


def _stored_count(file: BinaryIO, archive: zipfile.ZipFile) -> int:
    """Return the number of records in the end of an archive, which Python does not compare."""
    end = _tail(file, _END.size + len(archive.comment))[: _END.size]
    return int(_END.unpack(end)[4])


def _tail(file: BinaryIO, length: int) -> bytes:
    size = file.seek(0, 2)
    file.seek(max(size - length, 0))
    return file.read(length)


def _digest_matches(file: BinaryIO) -> bool:
    stored = _tail(file, _HEX)
    left = file.seek(0, 2) - _HEX
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        block = file.read(min(_BLOCK, left))
        if not block:
            return False
        digest.update(block)
        left -= len(block)
    return digest.hexdigest().encode() == stored


def _is_archive(content: bytes) -> bool:
    return content.startswith(b"PK") and _end_without_comment(content[-_END.size :])


def _end_without_comment(end: bytes) -> bool:
    return len(end) == _END.size and end.startswith(b"PK\5\6") and end.endswith(b"\0\0")


def _find_in_archive(file: BinaryIO) -> str | None:
    """Return why an archive without a digest is corrupt, or None."""
    end = _tail(file, _END.size)
    if not _end_without_comment(end):
        return "the file is truncated, or bytes follow its end"
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        places = [record.header_offset for record in records]
        followers = [*places[1:], archive.start_dir]
        for record, place, follower in zip(records, [0, *followers], followers, strict=False):
            if not _is_as_written(record):
                return f"the directory's entry of its record '{record.filename}' was changed"
            file.seek(place)
            *_, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
            gap = follower - (place + _LOCAL.size + name + extra + record.file_size)
            if gap not in (0, *_DESCRIPTORS):
                return f"its record '{record.filename}' is not where the directory places it"
        _, disk, first_disk, here, total, *_ = _END.unpack(end)
        if disk or first_disk or not here == total == min(len(records), 0xFFFF):
            return "the directory's number of records was changed"
        corrupt = archive.testzip()
    return None if corrupt is None else f"the checksum of its record '{corrupt}' does not match"


def _is_as_written(record: zipfile.ZipInfo) -> bool:
    """Return whether a directory entry has PyTorch's form: stored uncompressed, not a folder."""
    return (
        record.flag_bits in _FLAGS
        and record.compress_type == zipfile.ZIP_STORED
        and record.file_size == record.compress_size
        and record.external_attr == record.internal_attr == record.volume == 0
        and not record.comment
    )
