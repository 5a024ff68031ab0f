"""File that ends in a digest of its content."""

import hashlib
import struct
from typing import Any, BinaryIO

DIGEST_TAG = b"mim_plugins sha256 "
COMMENT_LENGTH = len(DIGEST_TAG) + 64
_FIELD = 2  # bytes of the length of an archive's comment, the last ones of the archive


class DigestFile:
    """Writable file for a zip archive, to which :meth:`finish` adds a digest as its comment.

    The archive is never complete in memory. PyTorch's writer is C++ code that cannot handle an
    error of the file, so the first one is kept and raised by :meth:`finish`.

    Args:
        file: file that receives archive and digest.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._end = b""  # last bytes, which may be the length of the comment
        self._failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write bytes."""
        view = memoryview(data).cast("B")
        if self._failure is None:
            try:
                self._write(view)
            except OSError as error:
                self._failure = error
        return len(view)

    def flush(self) -> None:
        """Do nothing, because the file is flushed when it is closed."""

    def finish(self) -> None:
        """Add the comment.

        Raises:
            OSError: the disk is full, or another failure of any write.
        """
        if self._failure is not None:
            raise self._failure
        tag = struct.pack("<H", COMMENT_LENGTH) + DIGEST_TAG
        self._digest.update(tag)
        self._file.write(tag + self._digest.hexdigest().encode())

    def _write(self, view: memoryview) -> None:
        if len(view) < _FIELD:
            view, self._end = memoryview(self._end + view), b""
        for part in (self._end, view[:-_FIELD]):
            self._digest.update(part)
            self._file.write(part)
        self._end = bytes(view[-_FIELD:])
