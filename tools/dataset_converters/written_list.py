"""Text files of one name per line that the tools write."""

import os
from collections.abc import Iterable
from pathlib import Path

from mim_plugins.errors import ConfigError
from mim_plugins.file_names import printable, write_lines


def prepare_list(path: Path) -> None:
    """Create the folder of a list, and check that the list can be written there.

    Raises:
        ConfigError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if not _is_special(path) and not os.access(path.parent, os.W_OK):
        raise _unwritable(path, "its folder is read-only")


def write_list(path: Path, lines: Iterable[str]) -> None:
    """Write a list atomically, see :func:`write_lines`; a failure leaves an earlier file unchanged.

    Raises:
        ConfigError: it cannot be written.
    """
    from mim_plugins.checkpoints import write_atomically  # imports PyTorch

    prepare_list(path)
    try:
        if _is_special(path):
            write_lines(path, lines)
        else:
            write_atomically(path, lambda partial: write_lines(partial, lines))
    except OSError as error:
        raise _unwritable(path, error.strerror) from error


def _is_special(path: Path) -> bool:
    """Return whether a path is a link, pipe or device, such as /dev/stdout, which must stay one."""
    return path.is_symlink() or (path.exists() and not path.is_file())


def _unwritable(path: Path, reason: str | None) -> ConfigError:
    return ConfigError(
        f"cannot write '{printable(path)}' ({reason}): give another file, or check disk space and"
        " permissions"
    )
