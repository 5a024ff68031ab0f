"""Compact names of the members of an archive."""

import errno
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ArchiveError
from ..file_names import printable


class MemberNames(Sequence[str]):
    """Sorted names in one array of bytes, so a million of them take little memory.

    Args:
        path: the archive, for messages.
        names: names in any order.

    Raises:
        ArchiveError: a name appears twice.
    """

    def __init__(self, path: str, names: Sequence[str]) -> None:
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        self.order = np.array(sorted(range(len(encoded)), key=encoded.__getitem__), dtype=np.int64)
        """Position in ``names`` of each sorted name."""
        encoded.sort()
        for first, second in pairwise(encoded):
            if first == second:
                name = printable(first.decode("utf-8", "surrogateescape"))
                raise ArchiveError(
                    f"'{printable(path)}' contains '{name}' twice, so the name does not determine"
                    " the image; write the archive again without duplicates"
                )
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        self._bytes = b"".join(encoded)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._ends) - 1

    def __getitem__(self, index: Any) -> Any:
        """Return a name, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._encoded(index % len(self)).decode("utf-8", "surrogateescape")

    def find(self, name: str) -> int:
        """Return the index of a name.

        Raises:
            FileNotFoundError: it is not among the names.
        """
        wanted = name.encode("utf-8", "surrogateescape")
        index = bisect_left(range(len(self)), wanted, key=self._encoded)
        if index == len(self) or self._encoded(index) != wanted:
            raise FileNotFoundError(errno.ENOENT, "no such member of the archive", name)
        return index

    def _encoded(self, index: int) -> bytes:
        return self._bytes[self._ends[index] : self._ends[index + 1]]


class RowNumbers(Sequence[str]):
    """Names of the rows of a table: their numbers from 0.

    Args:
        rows: their number.
    """

    def __init__(self, rows: int) -> None:
        self._rows = range(rows)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """Return a name, or a list of them for a slice."""
        found = self._rows[index]
        return str(found) if isinstance(found, int) else list(map(str, found))

    def find(self, name: str) -> int:
        """Return the index of a name.

        Raises:
            FileNotFoundError: there is no such row.
        """
        if not (name.isascii() and name.isdecimal() and int(name) < len(self)):
            raise FileNotFoundError(errno.ENOENT, "no such row of the table", name)
        return int(name)
