"""Writes of reports, logs and pictures, which must not end a training when they fail."""

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
    """State of what is written under one name."""

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
    """Call ``write`` and return whether it succeeded; a failure is an error in the log.

    A name is logged once until a write under it succeeds, and at most every ten minutes. The caller
    tries again at its next occasion.

    Args:
        logger: receives the messages.
        name: what is written, as it reads in front of "could not be written".
        write: may raise.
        errors: kinds of failure; others pass.
    """
    writer = _writers.setdefault(logger, {}).setdefault(name, _Writer())
    try:
        write()
    except errors as error:
        if not writer.is_failing:
            writer.is_failing = True  # before logging: the log itself may be what fails
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
    """Return the line that names a failing writer."""
    reason = " ".join(str(error).split()) or "no reason given"
    if not isinstance(error, OSError):
        reason = f"{type(error).__name__}: {reason}"
    return f"{name} could not be written: {reason}; training goes on, and later writes try again"


def free_space(folder: str) -> str:
    """Return how much a folder's disk can take, as part of a message."""
    try:
        free = shutil.disk_usage(folder).free / 2**20
    except OSError as error:  # the folder itself may be lost
        return f"{folder} cannot be read ({error.strerror})"
    return f"{free:.0f} MiB are free in {folder}"


def try_writing_lines(logger: logging.Logger, path: Path, lines: Iterable[str]) -> bool:
    """Write a text file as :func:`try_writing` does; its folder is made if it is missing.

    A line must not contain a line break: :func:`quote_name` takes it out of the name of a file.
    """
    lines = list(lines)

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_lines(path, lines)

    return try_writing(logger, f"'{path}'", write)
