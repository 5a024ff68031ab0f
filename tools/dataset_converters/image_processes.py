"""Processes that read images for a command, and end with it."""

import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, SIGTERM, pthread_sigmask
from typing import Any, NamedTuple, TypeVar

import cv2

from mim_plugins.archives import ImageArchive
from mim_plugins.errors import UserError

_Result = TypeVar("_Result")
_AHEAD = 8  # chunks per process that are computed before the one that is yielded


class _Failure(NamedTuple):
    """Error of the function, which has no traceback in another process."""

    error: Exception
    traceback: str


def map_images(
    function: Callable[[str], _Result],
    addresses: Iterable[str],
    processes: int,
    archives: Sequence[ImageArchive] = (),
    chunk: int = 4,
) -> Iterator[_Result]:
    """Yield ``function(address)`` of all addresses in order, computed in several processes.

    Each process has a separate pipe. With a common queue, as in ``concurrent.futures``, a process
    that is killed while it writes a result lets the others wait forever. The processes never
    receive Ctrl-C or SIGTERM, which a terminal or cluster sends to all processes, are killed when
    the generator ends, and end when the first process is killed.

    Args:
        function: function that can be pickled, also its results.
        addresses: its arguments; few are read in advance.
        processes: largest number of processes; no more are started than there are chunks.
        archives: archives that the processes need not open.
        chunk: addresses that are sent at once.

    Raises:
        UserError: a process was killed or cannot be started, such as for lack of descriptors.
        Exception: the error of the function, or a RuntimeError with its text if it cannot be
            pickled. The cause contains the traceback.
    """
    left = iter(addresses)
    chunks = iter(lambda: list(islice(left, chunk)), [])
    work = pickle.dumps((function, archives))
    with ExitStack() as running:
        ensure_running()  # it unblocks the signals
        for results in _in_order(partial(_start, running), processes, work, chunks):
            if isinstance(results, _Failure):
                raise results.error from RuntimeError(f"in a process:\n{results.traceback}")
            yield from results


def _start(running: ExitStack) -> Connection:
    """Start a process, and return the pipe to it."""
    context = multiprocessing.get_context("spawn")
    before = pthread_sigmask(SIG_BLOCK, {SIGINT, SIGTERM})  # which the process inherits
    try:
        ours, theirs = context.Pipe()
        # more arguments than a pipe buffers would delay the start until the process has imported
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        running.callback(process.join)
        running.callback(process.kill)
        theirs.close()  # only then does the end of either process close the pipe
        return ours
    finally:
        pthread_sigmask(SIG_SETMASK, before)


def _in_order(
    start: Callable[[], Connection], processes: int, work: bytes, chunks: Iterator[list[str]]
) -> Iterator[Any]:
    """Send chunks to idle or new processes, and yield the answers in the order of the chunks."""
    idle: list[Connection] = []
    working: dict[Connection, int] = {}
    first: dict[Connection, list[str]] = {}  # chunks of the processes that start
    answers: dict[int, Any] = {}
    sent = yielded = 0
    while True:
        while (
            (idle or len(working) < processes)
            and sent < yielded + _AHEAD * processes
            and (chunk := next(chunks, None))
        ):
            if idle:
                _send(pipe := idle.pop(), pickle.dumps(chunk))
            else:
                try:
                    first[pipe := start()] = chunk
                except OSError as error:
                    raise UserError(
                        f"only {len(working)} of {processes} processes can be started"
                        f" ({error.strerror}): try --workers {max(1, len(working) // 2)}"
                    ) from None
            working[pipe] = sent
            sent += 1
        if yielded in answers:
            yield answers.pop(yielded)
            yielded += 1
        elif not working:
            return
        must_wait = working and yielded not in answers
        for ready in wait(list(working), timeout=None if must_wait else 0):
            assert isinstance(ready, Connection)
            try:
                answer = ready.recv()
            except (EOFError, OSError):
                raise UserError(
                    "a process was killed, perhaps for lack of memory: try --workers 1"
                ) from None
            if ready in first:
                _send(ready, work, pickle.dumps(first.pop(ready)))
            else:
                answers[working.pop(ready)] = answer
                idle.append(ready)


def _send(pipe: Connection, *messages: bytes) -> None:
    with suppress(OSError):  # the process was killed, which recv() reports
        for message in messages:
            pipe.send_bytes(message)


def _serve(pipe: Connection) -> None:
    """Answer when the imports are complete, then each chunk until the first process ends.

    The first message is the function with the archives, which unpickling registers.
    """
    cv2.setNumThreads(0)
    with suppress(EOFError, OSError):
        pipe.send(None)
        function: Any = pipe.recv_bytes()
        while True:
            chunk = pipe.recv()
            try:
                if isinstance(function, bytes):
                    function, _ = pickle.loads(function)
                answer = pickle.dumps(list(map(function, chunk)))
            except Exception as error:
                answer = _pickled(error)
            pipe.send_bytes(answer)


def _pickled(error: Exception) -> bytes:
    text = "".join(traceback.format_exception(error))
    try:
        failure = pickle.dumps(_Failure(error, text))
        pickle.loads(failure)
    except Exception:  # pickling calls any code of the error's class
        return pickle.dumps(_Failure(RuntimeError(repr(error)), text))
    return failure
