"""Workers of data loaders that outlive the signals of a cluster."""

import atexit
import functools
import multiprocessing
import signal
from collections.abc import Callable
from typing import Any

from torch.utils.data import DataLoader

_WORKER_GRACE = 60  # seconds from SIGTERM to the end of a worker


def defer_worker_signals(loader: DataLoader) -> None:
    """Keep the future workers of ``loader`` alive when a job receives a termination signal.

    A cluster sends SIGTERM or SIGUSR1 to all processes, but the run needs its workers until the
    iteration is complete and its checkpoint saved. Workers end one minute after SIGTERM and ignore
    SIGUSR1.
    """
    inner = loader.worker_init_fn
    if isinstance(inner, functools.partial) and inner.func is _start_worker:
        return
    loader.worker_init_fn = functools.partial(_start_worker, inner)
    # runs before multiprocessing's own handler, which joins the workers
    atexit.unregister(_end_workers)
    atexit.register(_end_workers)


def _start_worker(inner: Callable[[int], Any] | None, worker_id: int) -> None:
    signal.signal(signal.SIGTERM, _leave_later)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if inner is not None:
        inner(worker_id)


def _end_workers() -> None:
    """Kill the workers that are alive at the end of the process."""
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would raise an error
    for worker in workers:
        worker.kill()


def _leave_later(*_: object) -> None:
    signal.alarm(_WORKER_GRACE)  # the default action of SIGALRM ends the process
