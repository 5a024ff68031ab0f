"""Log file handler that survives a full disk and a removed folder."""

import contextlib
import logging
import sys
from logging.handlers import WatchedFileHandler
from pathlib import Path

from .guarded_writes import try_writing


class GuardedFileHandler(WatchedFileHandler):
    """File handler whose failures are logged once, by other handlers, without a traceback.

    A removed or replaced file or folder is created again. After a failure, the next record opens
    the file again.

    Args:
        file: path of the log file; records are appended.
        logger: logger of this handler; its other handlers report a failure.
    """

    def __init__(self, file: str, logger: logging.Logger) -> None:
        super().__init__(file, "a", encoding="utf-8", errors="backslashreplace")
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it if this fails."""
        try_writing(self._logger, f"log file '{self.baseFilename}'", lambda: self._write(record))

    def _write(self, record: logging.LogRecord) -> None:
        try:
            folder = Path(self.baseFilename).parent
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
            super().emit(record)
        except OSError:
            self._drop_stream()
            raise

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  name in logging
        """Re-raise write errors in :meth:`emit`; pass other errors to logging."""
        if isinstance(sys.exc_info()[1], OSError):
            raise  # the exception that logging is handling
        super().handleError(record)

    def _drop_stream(self) -> None:
        stream, self.stream = self.stream, None  # type: ignore[assignment]
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
