"""LMDB databases whose values are image files."""

import os
import re
from typing import Any

from .extras import import_extra
from .handles import file_identity, forget_handles, handle_of
from .image_archive import ImageArchive, check_size
from .member_names import MemberNames

_DATA_FILE = "data.mdb"
# metadata such as __len__ and __keys__, often pickled; no folders (__background__/1.jpg) or images
_METADATA = re.compile(rb"__[^/.]*(\.(json|pickle|pkl|txt|ya?ml))?")


class LmdbArchive(ImageArchive):
    """LMDB database, a file or a folder, whose keys are the names of the images.

    Args:
        path: the file, or the folder that contains ``data.mdb``.
    """

    format_name = "LMDB database"
    names: MemberNames

    def read_index(self) -> None:
        """Read all keys."""
        path = self.path
        file = os.path.join(path, _DATA_FILE) if os.path.isdir(path) else path
        # a process may open a database once, by whichever path
        self._file = file_identity(file)
        forget_handles(self._file)  # of the former content
        environment = handle_of(_open, path, self._file)
        used = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        if os.path.getsize(file) < used:  # reading behind the end would kill the process
            raise OSError(f"{os.path.getsize(file)} of {used} bytes")
        with environment.begin() as transaction:
            keys = [
                bytes(key)
                for key in transaction.cursor().iternext(keys=True, values=False)
                if not _METADATA.fullmatch(key)
            ]
        self.names = MemberNames(path, [key.decode("utf-8", "surrogateescape") for key in keys])

    def find(self, name: str) -> int:
        """Return the index of a key."""
        return self.names.find(name)

    def read_member(self, index: int) -> bytes:
        """Return the value of a key."""
        key = self.names[index].encode("utf-8", "surrogateescape")
        with handle_of(_open, self.path, self._file).begin(buffers=True) as transaction:
            value = transaction.get(key)
            if value is None:
                raise OSError("the key was removed from the database")
            check_size(len(value))
            return bytes(value)


def _open(path: str) -> Any:
    lmdb = import_extra("lmdb", "lmdb", path)
    # a lock would need a writable folder
    return lmdb.open(
        path, subdir=os.path.isdir(path), readonly=True, lock=False, readahead=False, create=False
    )
