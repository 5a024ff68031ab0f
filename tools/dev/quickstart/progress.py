"""Training in a separate process, with its progress on the console."""

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
    """A training failed; the message includes the end of its log and the path of the log."""


def progress_of(line: str) -> str | None:
    """Return the progress in a line of MMEngine's log, None for any other line."""
    match = re.search(r"Epoch\((?:train|val)\)\s*\[.*", line)
    if match is None:
        return None
    return re.sub(r"(?:base_lr|data_time): \S+ ?", "", " ".join(match.group().split()))


class ProgressLine:
    """Progress that updates one line of a terminal, or adds lines to a file or pipe.

    Args:
        stream: output stream.
        every: minimum seconds between two lines if the stream is not a terminal.
    """

    def __init__(self, stream: TextIO = sys.stdout, every: float = 10.0) -> None:
        self.stream = stream
        self.every = every
        self._next = 0.0

    def show(self, text: str) -> None:
        """Show ``text``, which replaces the previous text on a terminal."""
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

    The training never outlives this call, even if it raises.

    Raises:
        StepFailedError: the exit status is not 0.
    """
    # more threads hardly speed up such small steps, and slow them down on a busy machine
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
        close_fds=False,  # the training inherits the lock
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
