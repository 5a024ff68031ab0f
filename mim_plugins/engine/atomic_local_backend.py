"""Files on a local or mounted disk that are written whole or not at all."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

ATOMIC_BACKEND = "mim_plugins.AtomicLocalBackend"
PARTIAL_SUFFIX = ".partial"


def write_durably(path: str | Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and rename it, so that ``path`` is old or new, never half.

    File and folder are on the disk when this returns, also if the power fails.

    Raises:
        OSError: the disk is full, or another failure; ``path`` is then as before.
    """
    path = Path(path)
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class AtomicLocalBackend(LocalBackend):
    """MMEngine's local backend, whose files are complete whenever they are there."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; its folder is made if need be."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_durably(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write a text file; its folder is made if need be."""
        self.put(obj.encode(encoding), filepath)


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)
