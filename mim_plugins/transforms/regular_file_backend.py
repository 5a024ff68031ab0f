"""Reading of local files that never waits for a pipe."""

from pathlib import Path

from mmengine import fileio
from mmengine.fileio import LocalBackend, register_backend

from .load_image import read_regular_file

REGULAR_FILE_BACKEND = "mim_plugins.RegularFileBackend"


class RegularFileBackend(LocalBackend):
    """MMEngine's local backend, which refuses pipes and devices; URLs keep their backend."""

    def get(self, filepath: str | Path) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: see :func:`read_regular_file`.
        """
        if "://" in str(filepath):
            return fileio.get(filepath)
        return read_regular_file(str(filepath))


register_backend(REGULAR_FILE_BACKEND, RegularFileBackend, force=True)
