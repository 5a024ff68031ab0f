"""Running a training in a process of its own, with only its progress on the console."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TextIO

TAIL_LINES = 15


class StepFailedError(Exception):
    """A training did not end well; the text says what and where to read more."""


def progress_of(line: str) -> str | None:
    """The progress in a line of MMEngine's log, in short; None for any other line."""
    match = re.search(r"Epoch\((?:train|val)\)\s*\[.*", line)
    if match is None:
        return None
    return re.sub(r"(?:base_lr|data_time): \S+ ?", "", " ".join(match.group().split()))


class ProgressLine:
    """One line that is updated on a terminal, or a new line now and then in a file or pipe.

    Args:
        stream: where to write.
        every: least seconds between two lines where the stream is not a terminal.
    """

    def __init__(self, stream: TextIO = sys.stdout, every: float = 10.0) -> None:
        self.stream = stream
        self.every = every
        self._next = 0.0

    def show(self, text: str) -> None:
        """Show ``text`` in place of what was shown before."""
        if self.stream.isatty():
            width = shutil.get_terminal_size().columns
            self.stream.write(f"\r\x1b[K      {text}"[: width + 3])
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + self.every
            self.stream.write(f"      {text}\n")
        self.stream.flush()

    def close(self) -> None:
        """Remove the line from a terminal."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def run_training(command: list[str], log: Path) -> None:
    """Run ``command`` with its output in ``log`` and MMEngine's progress on the console.

    The process ends with this one, also when an exception comes up here.

    Raises:
        StepFailedError: it did not exit with 0.
    """
    # steps this small gain little from more threads and lose much where other work runs
    env = dict(OMP_NUM_THREADS="1") | os.environ
    line, tail = ProgressLine(), deque[str](maxlen=TAIL_LINES)
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        close_fds=False,  # the caller's lock lasts as long as the training
    )
    assert process.stdout is not None
    try:
        with log.open("w") as file:
            for output in process.stdout:
                file.write(output)
                file.flush()
                tail.append(output)
                if progress := progress_of(output):
                    line.show(progress)
        code = process.wait()
    finally:
        line.close()
        process.kill()
        process.wait()
    if code:
        raise StepFailedError(f"{''.join(tail)}error: training failed; its log is '{log}'")
