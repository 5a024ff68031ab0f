"""Trainings in separate processes, with their progress on the console."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

_TAIL_LINES = 15
_PAUSE = 0.2  # seconds between two looks at the trainings


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


class Training(NamedTuple):
    """A training that runs in a separate process."""

    name: str
    command: list[str]
    log: Path
    """File for the output."""
    threads: int = 1


class _Running:
    """Process of a training, and the position up to which its log has been read."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.start = time.monotonic()
        env = dict(OMP_NUM_THREADS=str(training.threads)) | os.environ
        with training.log.open("w") as file:
            self.process = subprocess.Popen(
                training.command,
                env=env,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                close_fds=False,  # the training inherits the lock
            )
        self._log = training.log.open(errors="replace")
        self._partial = self.progress = ""

    def read_log(self) -> bool:
        """Read what is new in the log, and return whether there is new progress."""
        *lines, self._partial = (self._partial + self._log.read()).split("\n")
        found = [text for line in lines if (text := progress_of(line))]
        self.progress = found[-1] if found else self.progress
        return bool(found)

    def close(self) -> None:
        """End the process, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._log.close()


def run_trainings(
    trainings: Sequence[Training], lanes: int = 1
) -> Iterator[tuple[Training, float]]:
    """Run trainings with their progress on the console; yield each with its seconds at its end.

    No training outlives the iterator, even if it raises or is closed.

    Args:
        trainings: the trainings, which do not depend on each other.
        lanes: number of trainings at a time.

    Raises:
        StepFailedError: the exit status of a training is not 0.
    """
    waiting, line = list(trainings), ProgressLine()
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < lanes:
                running.append(_Running(waiting.pop(0)))
            time.sleep(_PAUSE)
            ended = [each for each in running if each.process.poll() is not None]
            has_news = [each.read_log() for each in running]
            if any(has_news):
                line.show(_together(running))
            for each in ended:
                running.remove(each)
                each.close()
                line.close()
                if each.process.returncode:
                    raise StepFailedError(_failure(each.training.log))
                yield each.training, time.monotonic() - each.start
    finally:
        line.close()
        for each in running:
            each.close()


def _together(running: list[_Running]) -> str:
    """Join the progress of all trainings, without details if there are several."""
    if len(running) == 1:
        return running[0].progress
    parts = (re.sub(r"(?:lr|time|loss\w*|images_per_s): \S+ ?", "", r.progress) for r in running)
    pairs = zip((each.training.name for each in running), parts, strict=True)
    return "  ".join(f"{name}: {text.strip()}" for name, text in pairs if text)


def _failure(log: Path) -> str:
    tail = log.read_text(errors="replace").splitlines(keepends=True)[-_TAIL_LINES:]
    return f"{''.join(tail)}error: training failed; its log is '{log}'"
