"""Writing files whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError

PARTIAL_SUFFIX = ".partial"


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file beside ``path``, then give it that name.

    So ``path`` is old or new, never half. File and folder, where the file system can flush one, are
    on the disk when this returns, also if the power fails. A killed process may leave a file that
    ends in :data:`PARTIAL_SUFFIX`.

    Raises:
        OSError: the disk is full, or another failure; ``path`` is then as before. So it is if
            ``write`` raises, whatever that is.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        partial.touch()
        usual = partial.stat().st_mode
        write(partial)
        if partial.stat().st_mode != usual:  # safetensors makes files that only their owner reads
            with contextlib.suppress(OSError):  # some network file systems refuse it
                partial.chmod(usual)
        _flush(partial, os.O_RDWR)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    try:
        _flush(path.parent, os.O_RDONLY)
    except OSError as error:  # some file systems cannot flush a folder
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def write_checkpoint(
    path: str | Path, write: Callable[[Path], object], overwrite: bool = False
) -> None:
    """Write a file that a user named, as :func:`write_atomically` does.

    Raises:
        CheckpointError: ``path`` exists and ``overwrite`` is off, its folder does not exist, or
            writing failed; ``path`` is then as before.
    """
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise CheckpointError(f"cannot write '{path}': there is no folder '{path.parent}'; make it")
    if path.is_dir():
        raise CheckpointError(f"cannot write '{path}': it is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise CheckpointError(
            f"'{path}' exists already: name another file, or overwrite it with --force"
        )
    try:
        write_atomically(path, write)
    except (OSError, RuntimeError) as error:  # PyTorch's writer raises the latter
        raise CheckpointError(f"cannot write '{path}': {error}; check space and rights") from error


def _flush(path: Path, flags: int) -> None:
    """Have what was written to a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
