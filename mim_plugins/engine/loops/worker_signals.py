"""Workers of data loaders that outlive the signals of a cluster."""

import atexit
import copy
import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from torch.utils.data import DataLoader

_CHECK_INTERVAL = 10.0  # seconds between two checks of a worker that received SIGTERM
_NAME = "mim_plugins data loader worker"

# one set for all loaders: hooks may add signals until the workers start
_ignored = {signal.SIGUSR1}


def defer_worker_signals(*loaders: DataLoader, signals: Iterable[signal.Signals] = ()) -> None:
    """Keep the future workers of loaders alive when a job receives a termination signal.

    A cluster sends SIGTERM or SIGUSR1 to all processes, but the run needs its workers until the
    iteration or the validation is complete and its checkpoint saved. After SIGTERM, workers end as
    soon as their parent process has ended. They ignore SIGUSR1 and ``signals``, as do the future
    workers of all loaders of earlier and later calls.
    """
    _ignored.update(signals)
    for loader in loaders:
        inner = loader.worker_init_fn
        is_known = isinstance(inner, functools.partial) and inner.func is _start_worker
        if loader.num_workers and not is_known:
            loader.worker_init_fn = functools.partial(_start_worker, inner, _ignored)
            context = copy.copy(loader.multiprocessing_context or multiprocessing.get_context())
            vars(context)["Process"] = functools.partial(context.Process, name=_NAME)  # type: ignore[attr-defined]
            loader.multiprocessing_context = context
    # runs before multiprocessing's own handler, which joins the workers
    atexit.unregister(_end_workers)
    atexit.register(_end_workers)


def _start_worker(
    inner: Callable[[int], Any] | None, ignored: set[signal.Signals], worker_id: int
) -> None:
    parent = os.getppid()

    def leave_orphaned(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGALRM, leave_orphaned)
        signal.setitimer(signal.ITIMER_REAL, _CHECK_INTERVAL)

    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave_orphaned)
    if inner is not None:
        inner(worker_id)


def _end_workers() -> None:
    """Kill the workers that are alive at the end of the process; they would not end by SIGTERM."""
    workers = [child for child in multiprocessing.active_children() if child.name == _NAME]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would raise an error
    for worker in workers:
        worker.kill()
