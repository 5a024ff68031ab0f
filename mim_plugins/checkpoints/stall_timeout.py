"""Time limit for downloads without progress, whatever their size."""

import os
import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import CheckpointError

TIMEOUT_VARIABLE = "MIM_PLUGINS_DOWNLOAD_TIMEOUT"
_DEFAULT_TIMEOUT = 60.0  # seconds
_MIN_RATE = 10_000  # bytes per second; a slower download has stalled

Result = TypeVar("Result")


def time_limit() -> float:
    """Return the number of seconds after which a download without progress fails.

    Raises:
        CheckpointError: the environment variable :data:`TIMEOUT_VARIABLE` is not a positive number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE) or str(_DEFAULT_TIMEOUT)
    if not re.fullmatch(r"\d+(\.\d+)?", text) or not float(text):
        raise CheckpointError(f"{TIMEOUT_VARIABLE}={text!r} must be a number of seconds above 0")
    return float(text)


def run_with_timeout(work: Callable[[], Result], received: Callable[[], int]) -> Result:
    """Return the result of ``work``, or raise if it makes no progress.

    It runs in a thread, which is abandoned after a timeout because it cannot be stopped: sockets
    limit neither the time of a DNS look-up nor that of a response that arrives byte by byte.

    Args:
        work: the download.
        received: returns the number of bytes so far; within each time limit it must grow by at
            least 10 kB per second.

    Raises:
        TimeoutError: the number of bytes grew more slowly.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # any error of work is raised below
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
