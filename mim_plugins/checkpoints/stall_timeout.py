"""A time limit for downloads of any size."""

import os
import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import CheckpointError

TIMEOUT_VARIABLE = "MIM_PLUGINS_DOWNLOAD_TIMEOUT"
_DEFAULT_TIMEOUT = 60.0  # seconds
_MIN_RATE = 10_000  # bytes per second; a server that sends less has stalled

Result = TypeVar("Result")


def time_limit() -> float:
    """Return how many seconds a download may go without progress.

    Raises:
        CheckpointError: the environment variable :data:`TIMEOUT_VARIABLE` is no positive number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE) or str(_DEFAULT_TIMEOUT)
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text):
        raise CheckpointError(f"{TIMEOUT_VARIABLE}={text!r} must be a number of seconds above 0")
    return float(text)


def run_with_timeout(work: Callable[[], Result], received: Callable[[], int]) -> Result:
    """Return the result of ``work``, unless it makes no progress.

    It runs in a thread that is left alone after a time-out, because nothing can end it: neither
    look-ups of names nor responses byte by byte have a time limit of their own.

    Args:
        work: the download.
        received: number of bytes so far; within each time limit it must grow by at least
            10 kB per second.

    Raises:
        TimeoutError: it did not.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # of the caller's, raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    limit = time_limit()
    begin, before = time.monotonic(), received()
    thread.start()
    while thread.is_alive():
        thread.join(min(limit / 10, 0.5))
        now = time.monotonic()
        if now - begin < limit:
            continue
        count = received()
        if thread.is_alive() and count - before < limit * _MIN_RATE:
            raise TimeoutError(
                f"the server sent {max(count - before, 0)} bytes in {limit:g} s; {TIMEOUT_VARIABLE}"
                " sets another time limit in seconds"
            )
        begin, before = now, count
    if errors:
        raise errors[0]
    return results[0]
