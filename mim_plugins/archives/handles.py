"""Open files of archives, separately in each process."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

_OPEN = 64  # a data set may have more shards than a process may have open files
_handles: OrderedDict[tuple[Callable[[str], Any], Hashable], Any] = OrderedDict()
_lock = threading.Lock()


def handle_of(opener: Callable[[str], Any], path: str, file: Hashable = None) -> Any:
    """Return ``opener(path)``, which this process keeps for later calls.

    The caller must keep a reference until it has read, because other threads may replace the
    handle meanwhile, and a handle without references is closed.

    Args:
        opener: function that opens the file.
        path: the file.
        file: what distinguishes the file from others; None takes the path.
    """
    key = opener, path if file is None else file
    with _lock:  # also while opening, because LMDB forbids a second handle of a file
        if key not in _handles:
            _handles[key] = opener(path)
            if len(_handles) > _OPEN:
                _handles.popitem(last=False)
        _handles.move_to_end(key)
        return _handles[key]


def forget_handles(file: Hashable) -> None:
    """Close the handles of a file, a path or ``file`` of :func:`handle_of`, in this process."""
    with _lock:
        for key in [key for key in _handles if key[1] == file]:
            del _handles[key]


def file_identity(path: str) -> Hashable:
    """Return what all paths of the same file or folder share, a bind mount's included."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _forget_all() -> None:
    """Close all handles in a new process, where no thread can release the lock."""
    global _lock
    _lock = threading.Lock()
    _handles.clear()


# processes would share the position in a file, and LMDB forbids inherited handles
os.register_at_fork(after_in_child=_forget_all)


def read_range(path: str, offset: int, size: int) -> bytes:
    """Return ``size`` bytes of a file.

    Raises:
        OSError: the file cannot be read or ends earlier.
    """
    parts = []
    file = handle_of(_open_file, path)  # without the reference, its descriptor could be reused
    while size > 0:
        part = os.pread(file.fileno(), size, offset)
        if not part:
            raise OSError(f"'{path}' ends within a member")
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _open_file(path: str) -> Any:
    return open(path, "rb", buffering=0)
