"""Data loader that starts where a run was stopped."""

import atexit
import functools
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.dist import get_rank
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from .endless_sampler import require_steps_of_training
from .positioned_batch_sampler import PositionedBatchSampler

_WORKER_GRACE = 60  # seconds that a worker outlives SIGTERM
_SAMPLER_SEED = "sampler_seed"


class ResumableDataLoader(DataLoader):
    """Batches of another loader, from any position on, each sample with a seed of its own.

    Workers are started when the first batch is asked for; see :func:`defer_worker_signals`.

    Args:
        loader: what to read and how; it is not iterated.
        endless: batches go on with the next epoch when one is over.

    Raises:
        TypeError: the loader has no batches of indices (an iterable data set).
    """

    def __init__(self, loader: DataLoader, endless: bool = False) -> None:
        if loader.batch_sampler is None:
            raise TypeError(
                f"a run on {type(loader.dataset).__name__} cannot be resumed exactly: its loader"
                " has no batch sampler; use a data set with indices and a batch_size"
            )
        position = PositionedBatchSampler(loader.batch_sampler, endless)
        super().__init__(
            loader.dataset,
            batch_sampler=position,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=loader.generator,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )
        self.position = position
        defer_worker_signals(self)
        # PyTorch leaves it out beside a batch sampler, but hooks read it
        vars(self)["batch_size"] = position.batch_size

    def batches(self, epoch: int, start: int) -> Iterator:
        """Batches of ``epoch``, without the first ``start``."""
        self.position.set_position(epoch, start)
        return super().__iter__()

    def __iter__(self) -> Any:
        """Batches from the run's first one on."""
        yield from self.batches(0, 0)

    def load_seeds(self, runner: Runner) -> None:
        """Use the seeds of the run, also those that were drawn before it was stopped."""
        sampler, hub = self.position.sampler, runner.message_hub
        self.position.seed = base_seed(runner)
        if not hasattr(sampler, "seed"):
            return
        if _SAMPLER_SEED in hub.runtime_info:
            sampler.seed = hub.get_info(_SAMPLER_SEED)
        else:
            hub.update_info(_SAMPLER_SEED, sampler.seed)


def build_resumable_data_loader(
    runner: Runner, dataloader: DataLoader | dict, endless: bool = False
) -> ResumableDataLoader:
    """From a loader or its config, as MMEngine's loops take it.

    Raises:
        ConfigError: the number of batches is unknown, or, unless ``endless``, infinite.
    """
    loader: DataLoader = (
        runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=_ranks_differ(runner))
        if isinstance(dataloader, dict)
        else dataloader
    )
    resumable = ResumableDataLoader(loader, endless)
    require_steps_of_training(loader, by_epoch=not endless)
    return resumable


def defer_worker_signals(loader: DataLoader) -> None:
    """Keep the workers that ``loader`` starts from now on, when a job is about to be ended.

    A cluster sends SIGTERM or SIGUSR1 to all processes, and the run needs its workers until the
    iteration is over and its checkpoint saved. They outlive SIGTERM by a minute and ignore SIGUSR1.
    """
    inner = loader.worker_init_fn
    if isinstance(inner, functools.partial) and inner.func is _start_worker:
        return
    loader.worker_init_fn = functools.partial(_start_worker, inner)
    # before multiprocessing's own, which asks workers to leave and waits until they do
    atexit.unregister(_end_workers)
    atexit.register(_end_workers)


def base_seed(runner: Runner) -> int:
    """The seed of the run, the same on all ranks."""
    return runner.seed - (get_rank() if _ranks_differ(runner) else 0)


def iteration_key(runner: Runner) -> tuple[int, int, int]:
    """What the random numbers of the current iteration follow from: seed, rank, iteration.

    Ranks share them unless ``randomness.diff_rank_seed`` is set, as in MMEngine.
    """
    return base_seed(runner), get_rank() if _ranks_differ(runner) else 0, runner.iter


def _ranks_differ(runner: Runner) -> bool:
    return runner._randomness_cfg.get("diff_rank_seed", False)


def _start_worker(inner: Callable[[int], Any] | None, worker_id: int) -> None:
    signal.signal(signal.SIGTERM, _leave_later)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    if inner is not None:
        inner(worker_id)


def _end_workers() -> None:
    """End at once the workers that the end of the process finds."""
    workers = [child for child in multiprocessing.active_children() if child.daemon]
    if workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would complain
    for worker in workers:
        worker.kill()


def _leave_later(*_: object) -> None:
    signal.alarm(_WORKER_GRACE)  # whose default action ends the process
