"""Processes that read images for a command, and end with it."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from signal import SIG_BLOCK, SIG_SETMASK, SIGINT, pthread_sigmask
from typing import Any, TypeVar

import cv2

from ..archives import ImageArchive
from ..errors import UserError

_Result = TypeVar("_Result")
_AHEAD = 8  # chunks per process that are computed before the one that is yielded


def map_images(
    function: Callable[[str], _Result],
    addresses: Iterable[str],
    processes: int,
    archives: Sequence[ImageArchive] = (),
    chunk: int = 4,
) -> Iterator[_Result]:
    """Yield ``function(address)`` of all addresses in order, computed in several processes.

    Each process has a pipe of its own. With a common queue, as in ``concurrent.futures``, a process
    that is killed while it writes a result lets the others wait forever. The processes never
    receive Ctrl-C, are killed when the generator ends, and end when the first process is killed.

    Args:
        function: function that can be pickled, also its results.
        addresses: its arguments; few are read in advance.
        processes: number of processes.
        archives: archives that the processes need not open.
        chunk: addresses that are sent at once.

    Raises:
        UserError: a process was killed.
        Exception: the error of the function.
    """
    left = iter(addresses)
    chunks = iter(lambda: list(islice(left, chunk)), [])
    with ExitStack() as running:
        ensure_running()  # it unblocks the signal
        before = pthread_sigmask(SIG_BLOCK, {SIGINT})  # which the processes inherit
        try:
            pipes = [_start(running, function, archives) for _ in range(processes)]
        finally:
            pthread_sigmask(SIG_SETMASK, before)
        for results in _in_order(pipes, chunks):
            if isinstance(results, Exception):
                raise results
            yield from results


def _start(running: ExitStack, *work: Any) -> Connection:
    """Start a process, and return the pipe to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, *work), daemon=True)
    process.start()
    running.callback(process.join)
    running.callback(process.kill)
    theirs.close()  # only then does the end of either process close the pipe
    return ours


def _in_order(pipes: Sequence[Connection], chunks: Iterator[list[str]]) -> Iterator[Any]:
    """Send chunks to idle processes, and yield the answers in the order of the chunks."""
    idle, working = list(pipes), dict[Connection, int]()
    answers: dict[int, Any] = {}
    sent = yielded = 0
    while True:
        while idle and sent < yielded + _AHEAD * len(pipes) and (chunk := next(chunks, None)):
            pipe = idle.pop()
            with suppress(OSError):  # the process was killed, which recv() reports
                pipe.send(chunk)
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
                answers[working.pop(ready)] = ready.recv()
            except (EOFError, OSError):
                raise UserError(
                    "a process was killed, perhaps for lack of memory: try --workers 1"
                ) from None
            idle.append(ready)


def _serve(
    pipe: Connection, function: Callable[[str], _Result], archives: Sequence[ImageArchive]
) -> None:
    """Answer the chunks of the first process until it ends; unpickling registered the archives."""
    cv2.setNumThreads(0)
    with suppress(EOFError, OSError):
        while True:
            chunk = pipe.recv()
            try:
                answer: list[_Result] | Exception = list(map(function, chunk))
            except Exception as error:
                answer = error
            pipe.send(answer)
