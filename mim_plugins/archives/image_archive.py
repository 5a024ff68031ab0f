"""Base of archives with random access to their members."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import ArchiveError, UserError
from ..file_names import printable
from .stored_labels import StoredLabels

_Result = TypeVar("_Result")
LARGEST_MEMBER = 1 << 30
"""Bytes of the largest member that is read; larger ones are no images, or bombs."""
opened_archives: dict[str, "ImageArchive"] = {}
"""The archives by path whose index this process has."""


class ImageArchive(ABC):
    """Members of an archive: their number, names, bytes and labels.

    A format defines :meth:`read_index` and :meth:`read_member`, which may raise the errors of its
    library. The index consists of arrays and of memory-mapped files, which worker processes share
    or receive. Each process opens other handles of files at its first read. Nothing of an archive
    is executed or unpickled.

    Args:
        path: the archive.

    Raises:
        ArchiveError: the archive cannot be read, is truncated, or contains a name twice.
    """

    format_name: str
    """Name of the format in messages."""
    names: Sequence[str]
    """Names of the members, all different."""
    folders: Sequence[str] = ()
    """Names of the folders that are members themselves, some perhaps without files."""
    stores_labels: bool = False
    """The format itself stores labels, which :meth:`labels` reads."""
    rows_per_read: int = 1
    """Members that are decoded to read one, on average."""
    version: tuple[int, int] | None = None
    """Size and time of the file when its index was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._index(self.read_index)

    def __setstate__(self, state: dict) -> None:
        """Restore the index in another process, which then need not read it again."""
        self.__dict__.update(state)
        opened_archives.setdefault(self.path, self)

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.names)

    @abstractmethod
    def read_index(self) -> None:
        """Set the names of the members."""

    @abstractmethod
    def read_member(self, index: int) -> bytes:
        """Return the content of a member; errors may have any type."""

    def read_labels(self) -> StoredLabels:
        """Return the labels of a format that stores some; errors may have any type."""
        raise NotImplementedError

    def labels(self) -> StoredLabels | None:
        """Return the labels that the format itself stores, None if it stores none.

        Raises:
            ArchiveError: the labels cannot be read, or are no classes.
        """
        return self._index(self.read_labels) if self.stores_labels else None

    @abstractmethod
    def find(self, name: str) -> int:
        """Return the index of a member.

        Raises:
            FileNotFoundError: there is no member of this name.
        """

    def read(self, index: int) -> bytes:
        """Return the content of a member.

        Raises:
            OSError: the archive cannot be read there.
            ValueError: the content is corrupt or too large.
        """
        try:
            return self.read_member(index)
        except (OSError, ValueError):
            raise
        except Exception as error:  # of LMDB, Arrow, ..., which derive from no common type
            raise OSError(_cause(error)) from error

    def _index(self, read: Callable[[], _Result]) -> _Result:
        try:
            return read()
        except UserError:
            raise
        except Exception as error:  # the libraries raise many types
            raise ArchiveError(
                f"'{printable(self.path)}' is no complete {self.format_name} ({_cause(error)});"
                " copy or write it again"
            ) from error


def check_size(size: int) -> None:
    """Refuse a member of more than :data:`LARGEST_MEMBER` bytes with ValueError."""
    if size > LARGEST_MEMBER:
        raise ValueError(f"{size} bytes, and images may have {LARGEST_MEMBER}")


def _cause(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
