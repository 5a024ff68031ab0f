"""File backend that writes atomically to a local or mounted disk."""

from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend

from ...checkpoints import write_atomically, write_with_digest
from .checkpoint_names import is_local

ATOMIC_BACKEND = "mim_plugins.AtomicLocalBackend"

_LOCAL: tuple[dict, ...] = ({}, dict(backend="local"), dict(backend="disk"))  # MMEngine's names


class AtomicLocalBackend(LocalBackend):
    """MMEngine's local backend with atomic writes: an existing file is always complete."""

    def put(self, obj: Any, filepath: str | Path) -> None:
        """Write a file, a checkpoint with a digest, creating its folder if necessary.

        Args:
            obj: bytes of the file, or the checkpoint itself.
            filepath: the file to write or replace.
        """
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(filepath, lambda partial: write_with_digest(partial, obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write a text file, creating its folder if necessary."""
        self.put(obj.encode(encoding), filepath)


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)


def use_atomic_backend(hook: Any) -> tuple[type[Exception], ...]:
    """Let a checkpoint hook write local files atomically; return the errors of its storage.

    Args:
        hook: MMEngine's hook, whose ``backend_args`` or ``file_client_args`` may name the local
            backend.
    """
    ours = dict(backend=ATOMIC_BACKEND)
    given = (hook.backend_args or {}, hook.file_client_args or {})
    if is_local(hook.out_dir) and all(arguments in _LOCAL for arguments in given):
        hook.backend_args, hook.file_client_args = ours, None
    # storage services raise errors of any type
    return (OSError,) if hook.backend_args == ours else (Exception,)
