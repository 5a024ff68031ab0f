"""Console stream whose failures do not end the program."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from mmengine.logging import print_log

from .guarded_writes import failure_message


class GuardedStream:
    """Text stream that drops text on write errors (full disk, closed pipe or terminal).

    Consecutive failures are logged once. Characters outside the stream's encoding are escaped.

    Args:
        stream: console stream.
        name: name of the stream in the log.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._is_failing = False

    def __getattr__(self, name: str) -> Any:  # noqa: D105
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, or drop it if this fails."""
        self._guard(lambda: self._write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream, ignoring failures."""
        if self._guard(self._stream.flush):
            self._is_failing = False  # a write may have reached only the buffer

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def _guard(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True  # set before logging, which also writes to the console
                print_log(failure_message(self._name, error), "current", logging.ERROR)
            return False
        return True


@contextmanager
def guarded_console() -> Iterator[None]:
    """Guard ``sys.stdout`` and ``sys.stderr`` within the block.

    Raises:
        RuntimeError: for a BrokenPipeError, which callers take for a console without a reader.
    """
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        if stream is not None:
            setattr(sys, name, cast(TextIO, GuardedStream(stream, f"the console ({name})")))
    try:
        yield
    except BrokenPipeError as error:  # guarded streams raise none
        raise RuntimeError(f"a connection has been closed: {error}") from error
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
            if stream is not None:
                _flush_or_discard(stream)


def _flush_or_discard(stream: TextIO) -> None:
    """Flush, or discard the remainder, which would make Python exit with code 120."""
    try:
        stream.flush()
    except OSError:
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, stream.fileno())
        os.close(null_device)
