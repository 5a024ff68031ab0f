"""Writes of reports, logs and pictures whose failure must not end the training."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from weakref import WeakKeyDictionary

from ...file_names import write_lines

WRITE_ERRORS: tuple[type[Exception], ...] = (OSError, UnicodeError)

_PAUSE = 600.0  # seconds; on a nearly full disk, writes fail and succeed in turn


class _Writer:
    """State of the writes under one name."""

    is_failing = False
    is_announced = False
    last_announced = -math.inf


_writers: WeakKeyDictionary[logging.Logger, dict[str, _Writer]] = WeakKeyDictionary()


def try_writing(
    logger: logging.Logger,
    name: str,
    write: Callable[[], object],
    errors: tuple[type[Exception], ...] = WRITE_ERRORS,
) -> bool:
    """Call ``write``, log a failure as an error, and return whether the call succeeded.

    Each name is logged once until a write under it succeeds, and at most every ten minutes. The
    caller is expected to retry with its next write.

    Args:
        logger: logger of the failures.
        name: subject of the message "... could not be written".
        write: function that writes.
        errors: exception types to catch; all others propagate.
    """
    writer = _writers.setdefault(logger, {}).setdefault(name, _Writer())
    try:
        write()
    except errors as error:
        if not writer.is_failing:
            writer.is_failing = True  # set before logging, because the log itself may be failing
            writer.is_announced = time.monotonic() - writer.last_announced > _PAUSE
            if writer.is_announced:
                writer.last_announced = time.monotonic()
                logger.error(failure_message(name, error))
        return False
    if writer.is_failing:
        writer.is_failing = False
        if writer.is_announced:
            logger.info(f"{name} can be written again")
    return True


def failure_message(name: str, error: Exception) -> str:
    """Return the log line of a failed write."""
    reason = " ".join(str(error).split()) or "no reason given"
    if not isinstance(error, OSError):
        reason = f"{type(error).__name__}: {reason}"
    return f"{name} could not be written: {reason}; training continues, and later writes try again"


def free_space(folder: str) -> str:
    """Describe the free space on the disk of a folder, for a message."""
    try:
        free = shutil.disk_usage(folder).free / 2**20
    except OSError as error:  # the folder itself may be missing
        return f"{folder} cannot be read ({error.strerror})"
    return f"{free:.0f} MiB are free in {folder}"


def try_writing_lines(logger: logging.Logger, path: Path, lines: Iterable[str]) -> bool:
    """Write a text file with :func:`try_writing`, creating its folder if necessary.

    Lines must not contain line breaks; :func:`quote_name` escapes them in file names.
    """
    lines = list(lines)

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(path, lines)

    return try_writing(logger, f"'{path}'", write)
