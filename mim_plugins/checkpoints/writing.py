"""Atomic writing of files."""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError

PARTIAL_SUFFIX = ".partial"


def write_atomically(
    path: str | Path, write: Callable[[Path], object], replace: bool = True
) -> None:
    """Write a temporary file in the folder of ``path``, then rename it to ``path``.

    ``path`` is therefore always the old or the new file, never a partial one. File and folder are
    flushed to the disk before this returns, so they survive a power failure (if the file system can
    flush a folder). A killed process may leave a file that ends in :data:`PARTIAL_SUFFIX`.

    Args:
        path: the file to write or replace.
        write: called with the path of the temporary file.
        replace: whether to replace a file that exists when the new one is complete.

    Raises:
        FileExistsError: ``path`` exists, also as a broken link, and ``replace`` is False.
        OSError: the disk is full, or another failure. After any error, also one that ``write``
            raises, ``path`` is unchanged, or the new file if only the folder was not flushed.
    """
    path = Path(path)
    # several threads or machines may write the same path
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        partial.touch()
        usual = partial.stat().st_mode
        write(partial)
        # safetensors creates files that only their owner can read
        if partial.stat().st_mode != usual:
            with contextlib.suppress(OSError):  # some network file systems do not support it
                partial.chmod(usual)
        _flush(partial, os.O_RDWR)
        if replace:
            os.replace(partial, path)
        else:
            _rename(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    try:
        _flush(path.parent, os.O_RDONLY)
    except OSError as error:  # some file systems cannot flush a folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _rename(partial: Path, path: Path) -> None:
    """Rename a file unless the new name exists."""
    try:
        os.link(partial, path)  # atomic, unlike a check before renaming
    except OSError as error:
        # NFS repeats a request whose answer was lost, so a link that was made can be an error
        if os.path.exists(path) and os.path.samefile(partial, path):
            return
        if isinstance(error, FileExistsError) or os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(partial, path)  # some file systems have no hard links


def write_checkpoint(
    path: str | Path, write: Callable[[Path], object], overwrite: bool = False
) -> None:
    """Write a file at a path that the user chose, see :func:`write_atomically`.

    Raises:
        CheckpointError: ``path`` exists and ``overwrite`` is False, its folder does not exist, or
            writing failed; ``path`` is then unchanged.
    """
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise CheckpointError(
            f"cannot write '{path}': there is no folder '{path.parent}'; create it"
        )
    if path.is_dir():
        raise CheckpointError(f"cannot write '{path}': it is a folder; give a file in it")
    exists = f"'{path}' exists already: give another file, or overwrite it with --force"
    if os.path.lexists(path) and not overwrite:
        raise CheckpointError(exists)
    try:
        write_atomically(path, write, overwrite)
    except FileExistsError as error:
        raise CheckpointError(exists) from error
    except (OSError, RuntimeError) as error:  # PyTorch's writer raises RuntimeError
        raise CheckpointError(
            f"cannot write '{path}': {error}; check disk space and permissions"
        ) from error


def _flush(path: Path, flags: int) -> None:
    """Flush a file's content or a folder's entries to the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
