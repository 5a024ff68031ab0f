"""Open files of archives, separately in each process."""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_OPEN = 64  # a data set may have more shards than a process may have open files


def handle_of(opener: Callable[[str], Any], path: str) -> Any:
    """Return ``opener(path)``, which this process keeps for later calls."""
    return _handle(opener, path)


def forget_handles() -> None:
    """Close the files of archives in this process."""
    _handle.cache_clear()


@lru_cache(maxsize=_OPEN)
def _handle(opener: Callable[[str], Any], path: str) -> Any:
    return opener(path)


# processes would share the position in a file, and LMDB forbids inherited handles
os.register_at_fork(after_in_child=forget_handles)


def read_range(path: str, offset: int, size: int) -> bytes:
    """Return ``size`` bytes of a file.

    Raises:
        OSError: the file cannot be read or ends earlier.
    """
    parts = []
    descriptor = handle_of(_open_file, path).fileno()
    while size > 0:
        part = os.pread(descriptor, size, offset)
        if not part:
            raise OSError(f"'{path}' ends within a member")
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _open_file(path: str) -> Any:
    return open(path, "rb", buffering=0)
