"""Files on a local or mounted disk that are written whole or not at all."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ...checkpoints import write_atomically, write_with_digest

ATOMIC_BACKEND = "mim_plugins.AtomicLocalBackend"


class AtomicLocalBackend(LocalBackend):
    """MMEngine's local backend, whose files are complete whenever they are there."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file, a checkpoint with a digest; its folder is made if need be."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(filepath, lambda partial: write_with_digest(partial, obj))

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write a text file; its folder is made if need be."""
        self.put(obj.encode(encoding), filepath)


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)
