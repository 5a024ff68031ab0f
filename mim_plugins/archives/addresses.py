"""Addresses of images: paths of files, and ``ARCHIVE::MEMBER``."""

import errno
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from ..errors import UserError
from .formats import HUB, SEPARATOR, archive_format, open_archive
from .image_archive import ImageArchive, opened_archives

# MMEngine also reads CLUSTER:SCHEME://PATH
_URL = re.compile(r"(?:[\w.-]+:)?[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_url(address: str) -> bool:
    """Return whether an address is a URL that is no data set of the hub."""
    return bool(_URL.match(address)) and not address.startswith(HUB)


def join_address(archive: str, member: str) -> str:
    """Return the address of a member."""
    return f"{archive}{SEPARATOR}{member}"


def split_address(address: str) -> tuple[str, str] | None:
    """Return archive and member of an address, or None for the path of a file.

    An archive that does not exist is one if neither a later part nor the file exists.
    """
    missing = None
    at = address.find(SEPARATOR)
    while at >= 0:  # the archive's path may contain the separator, too
        archive, member = address[:at], address[at + len(SEPARATOR) :]
        if archive in opened_archives:
            return archive, member
        if archive_format(archive):
            if archive.startswith(HUB) or os.path.exists(archive):
                return archive, member
            missing = missing or (archive, member)
        at = address.find(SEPARATOR, at + 1)
    return None if missing and os.path.exists(address) else missing


def archives_of(addresses: Iterable[str]) -> tuple[ImageArchive, ...]:
    """Return the archives of addresses with their index, which later processes then inherit.

    Raises:
        DataNotFoundError: an archive does not exist.
        ArchiveError: one is corrupt, or needs a package that is not installed.
    """
    parts = map(split_address, (each for each in addresses if SEPARATOR in each))
    return tuple(map(open_archive, dict.fromkeys(each[0] for each in parts if each)))


def try_archives(addresses: Iterable[str]) -> tuple[list[ImageArchive], dict[str, UserError]]:
    """Return the archives of addresses that can be opened, and the others' errors by path."""
    parts = map(split_address, (each for each in addresses if SEPARATOR in each))
    opened, errors = [], {}
    for path in dict.fromkeys(each[0] for each in parts if each):
        try:
            opened.append(open_archive(path))
        except UserError as error:
            errors[path] = error
    return opened, errors


def contains_file(addresses: Iterable[str], file: Path) -> bool:
    """Return whether a file is one of the images, or an archive that contains some."""
    if not file.exists():
        return False
    wanted = {file.name, file.resolve().name}  # opening every file would take long
    places = {(split_address(each) or (each,))[0] for each in addresses}
    near = (place for place in places if os.path.basename(place) in wanted)
    return any(os.path.exists(place) and os.path.samefile(place, file) for place in near)


def image_exists(address: str) -> bool:
    """Return whether a file or a member exists, with its archive.

    A URL counts as existing, because only reading it shows whether it does.
    """
    if is_url(address):
        return True
    parts = split_address(address)
    if parts is None:
        return os.path.isfile(address)
    try:
        open_archive(parts[0]).find(parts[1])
    except FileNotFoundError:
        return False
    return True


def read_image_file(address: str) -> bytes:
    """Return the content of an image file, on a local disk or in an archive.

    Raises:
        OSError: the file or member is missing or unreadable, or is a pipe or device, which could
            block forever.
        ValueError: the archive or member is corrupt, or the member is too large.
    """
    parts = split_address(address) if SEPARATOR in address else None
    if parts is None:
        return _read_regular_file(address)
    archive = opened_archives.get(parts[0]) or open_archive(parts[0])
    return archive.read(archive.find(parts[1]))


def _read_regular_file(path: str) -> bytes:
    with open(path, "rb", buffering=0, opener=_open_nonblocking) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read()


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
