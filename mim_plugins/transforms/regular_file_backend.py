"""Reading of local files and of members of archives, which never waits for a pipe."""

from pathlib import Path

from mmengine import fileio
from mmengine.fileio import LocalBackend, register_backend

from ..archives import is_url, read_image_file

REGULAR_FILE_BACKEND = "mim_plugins.RegularFileBackend"


class RegularFileBackend(LocalBackend):
    """MMEngine's local backend with members of archives, which refuses pipes and devices.

    URLs keep their backend.
    """

    def get(self, filepath: str | Path) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: see :func:`read_image_file`.
        """
        if is_url(str(filepath)):
            return fileio.get(filepath)
        return read_image_file(str(filepath))


register_backend(REGULAR_FILE_BACKEND, RegularFileBackend, force=True)
