"""Writing files whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from .checkpoint_error import CheckpointError


def write_atomically(
    path: str | Path, write: Callable[[Path], object], overwrite: bool = False
) -> None:
    """Let ``write`` make a file beside ``path``, then give it that name.

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # safetensors makes files that only their owner reads
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"cannot write '{path}': {error}; check space and rights") from error
    finally:
        temporary.unlink(missing_ok=True)
