"""Formats of archives by path, and their opening."""

import os
from collections.abc import Sequence
from importlib import import_module

from ..errors import ArchiveError, DataNotFoundError, TableError, UserError
from ..file_names import printable
from .handles import forget_handles
from .image_archive import ImageArchive, opened_archives

HUB = "hf://"
SEPARATOR = "::"
"""Between an archive and a member in the address of an image."""
FORMATS = "folders, lists (.txt), .tar, .zip, .parquet, .lmdb and data sets of Hugging Face"
_SUFFIXES = {".tar": "tar", ".zip": "zip", ".lmdb": "lmdb", ".mdb": "lmdb", ".parquet": "parquet"}
_CLASSES = dict(
    tar="tar_archive.TarArchive",
    zip="zip_archive.ZipArchive",
    lmdb="lmdb_archive.LmdbArchive",
    parquet="parquet_archive.ParquetArchive",
    hf="hugging_face_archive.HuggingFaceArchive",
)
# the files by which folders are recognized; the first shows a change, too
_FOLDERS = dict(lmdb=("data.mdb",), hf=("state.json", "dataset_info.json"))


def archive_format(path: str) -> str | None:
    """Return the format of an archive by its name, or by the files of a folder; None if none."""
    if path.startswith(HUB):
        return None if SEPARATOR in path else "hf"  # an image has no images
    if os.path.isdir(path):
        return next((kind for kind, names in _FOLDERS.items() if _contains(path, names)), None)
    return format_of_suffix(path)


def format_of_suffix(name: str) -> str | None:
    """Return the format that a file's suffix stands for, None for other files."""
    return _SUFFIXES.get(os.path.splitext(name)[1].lower())


def archive_of(file: str) -> str | None:
    """Return the archive that a file is, or the folder whose archive it stores, None if neither."""
    folder, name = os.path.split(file)
    if any(name == names[0] for names in _FOLDERS.values()):
        return folder if archive_format(folder) else None
    return file if format_of_suffix(name) and name != "lock.mdb" else None


def _contains(folder: str, names: Sequence[str]) -> bool:
    return all(os.path.isfile(f"{folder}/{name}") for name in names)


def open_archive(path: str) -> ImageArchive:
    """Read the index of an archive, or return it if this process has read it already.

    Raises:
        DataNotFoundError: the file does not exist.
        ArchiveError: it is corrupt, or needs a package that is not installed.
    """
    kind = archive_format(path)
    if kind is None:
        raise ArchiveError(f"'{printable(path)}' is no archive; supported are {FORMATS}")
    version = _version(path, kind)
    known = opened_archives.get(path)
    if known is None or known.version != version:
        forget_handles(path)  # of the file's former content
        known = read_archive(path, kind)
        known.version = version
        opened_archives[path] = known
    return known


def is_metadata(path: str) -> bool:
    """Return whether a path is a table without images, as of img2dataset, which is no data."""
    try:
        return format_of_suffix(path) == "parquet" and open_archive(path) is None
    except TableError:
        return True
    except UserError:  # reported where it is read
        return False


def read_archive(path: str, kind: str) -> ImageArchive:
    """Read the index of an archive, whatever its suffix, for this call alone.

    Args:
        path: the archive.
        kind: its format, see :func:`archive_format`.
    """
    module, _, name = _CLASSES[kind].partition(".")
    return getattr(import_module(f".{module}", __package__), name)(path)


def _version(path: str, kind: str) -> tuple[int, int] | None:
    """Return size and time of the file that changes with an archive; None on the hub."""
    if path.startswith(HUB):
        return None
    file = f"{path}/{_FOLDERS[kind][0]}" if os.path.isdir(path) else path
    if not os.path.isfile(file):  # a pipe would wait forever
        kinds = "is no file" if os.path.exists(file) else "does not exist"
        raise DataNotFoundError(f"the archive '{printable(path)}' {kinds}")
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns
