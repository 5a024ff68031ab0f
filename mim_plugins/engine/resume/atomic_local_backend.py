"""File backend that writes atomically to a local or mounted disk."""

from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend

from ...checkpoints import write_atomically, write_with_digest

ATOMIC_BACKEND = "mim_plugins.AtomicLocalBackend"

_LOCAL = ({}, dict(backend="local"), dict(backend="disk"))  # MMEngine's names


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


def selects_local_backend(*arguments: dict | None) -> bool:
    """Return whether ``backend_args`` and ``file_client_args`` select MMEngine's local backend."""
    return all((each or {}) in _LOCAL for each in arguments)
