"""Function call in a separate process, which ends at a time limit."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

# a forked process cannot use CUDA if importing MMEngine has counted the GPUs before
if torch.cuda.is_available():
    CONTEXT: Any = multiprocessing.get_context("spawn")
else:
    CONTEXT = multiprocessing.get_context("forkserver")
    CONTEXT.set_forkserver_preload(["mim_plugins.apis", "mmpretrain.models"])


class JobError(Exception):
    """A job failed or took too long; the message is one line."""


class Job:
    """Function call in a process, with its output in a file.

    The process imports the function at once and calls it later, so imports of the next job overlap
    with the present one.

    Args:
        function: importable function.
        arguments: its arguments.
        log: file of its output.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, log: Path) -> None:
        self.log = log
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_serve, args=(theirs, function, arguments, log))
        self._process.start()
        theirs.close()

    def start(self) -> None:
        """Let the process call the function."""
        self._pipe.send("start")

    def result(self, seconds: float) -> Any:
        """Wait for the result of the function.

        Raises:
            JobError: the function raised an exception, or took longer than ``seconds``.
        """
        try:
            if not self._pipe.poll(max(seconds, 0)):
                raise JobError(f"stopped after {seconds:.0f} s, the rest of its time")
            failed, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise JobError(f"its process was killed; log: {self.log.name}") from None
        finally:
            self.end()
        if failed:
            raise JobError(answer)
        return answer

    def end(self) -> None:
        """End the process and those that it started."""
        if self._process.pid is not None and self._process.is_alive():
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has not formed its group yet
                self._process.kill()
        self._process.join()


def _serve(pipe: Connection, function: Callable[..., Any], arguments: tuple, log: Path) -> None:
    os.setsid()
    with log.open("w", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        if pipe.recv() == "start":
            pipe.send((False, function(*arguments)))
    except EOFError:
        return  # the report has ended
    except BaseException as error:  # a tool exits with SystemExit
        traceback.print_exc()
        pipe.send((True, one_line(error)))
    finally:
        sys.stdout.flush()


def one_line(error: BaseException) -> str:
    """Return type and message of an exception in one line, of a JobError only the message."""
    if isinstance(error, JobError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
