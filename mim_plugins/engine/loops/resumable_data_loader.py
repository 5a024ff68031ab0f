"""Data loader that starts at any position of a run."""

import copy
import logging
import re
from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import DistSamplerSeedHook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import DataLoader, IterableDataset

from ...errors import ConfigError
from ...randomness import preserved_random_state
from ..resume.resumed_position import BATCH, images_per_iteration
from .endless_sampler import check_training_sampler
from .hub_owner import own_message_hub
from .positioned_batch_sampler import PositionedBatchSampler
from .sampler_stream import draws_from_all
from .worker_signals import defer_worker_signals

_END = object()


class ResumableDataLoader(DataLoader):
    """Batches of another loader, starting at any position, with a separate seed per sample.

    Workers start with the first batch; see :func:`defer_worker_signals`.

    Args:
        loader: provides data set and settings; it is not iterated itself.
        endless: continue with the next epoch when one ends.

    Attributes:
        position: positions of its batch sampler, which hooks read and change as ``batch_sampler``.
        configured_seed: seed of the sampler in the config, if any.

    Raises:
        ConfigError: the loader has no batches of indices, or its class replaces how they are read.
    """

    def __init__(self, loader: DataLoader, endless: bool = False) -> None:
        _check_positions(loader)
        position = PositionedBatchSampler(loader.batch_sampler, endless, loader.dataset)
        super().__init__(
            loader.dataset,
            batch_sampler=position,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )
        self.position = position
        self.configured_seed: int | None = None
        defer_worker_signals(self)
        # PyTorch sets others if a batch sampler is given, but hooks read and steer these
        vars(self).update(
            batch_sampler=position.batch_sampler,
            batch_size=position.batch_size,
            sampler=position.sampler,
            drop_last=position.drop_last,
        )

    @property
    def _index_sampler(self) -> PositionedBatchSampler:
        """Source of indices of PyTorch's iterators."""
        return self.position

    def begin(self, epoch: int) -> None:
        """Set the epoch of the samplers, which hooks may change before :meth:`iter_from`."""
        self.position.set_position(epoch, 0)
        self.position.begin()

    def iter_from(self, epoch: int, start: int) -> Iterator:
        """Return an iterator over the batches of ``epoch``, skipping the first ``start``.

        Reading a batch leaves the global random generators of this process unchanged.
        """
        self.position.set_position(epoch, start)
        with preserved_random_state(cuda=False):
            return _restoring(super().__iter__())

    def __iter__(self) -> Any:
        """Yield the batches of an epoch, beside a training.

        Hooks such as mmpretrain's PreciseBNHook read training images within an iteration. The
        epoch is that of :meth:`PositionedBatchSampler.separate`.
        """
        other = copy.copy(self)
        # PyTorch refuses to set these attributes; persistent workers are those of the training
        vars(other).update(
            position=self.position.separate(), persistent_workers=False, _iterator=None
        )
        inner = other.position.batch_sampler
        vars(other).update(batch_sampler=inner, sampler=other.position.sampler)
        yield from other.iter_from(other.position.epoch, 0)

    def load_seeds(self, runner: Runner) -> None:
        """Load the seeds of the run, including those from the checkpoint of a resumed run.

        The message hub of the run gets the images per iteration, with which its checkpoints are
        compared. MMEngine's hook that sets the epoch of the sampler is removed: it would do so
        again, and not for past epochs.
        """
        runner.hooks[:] = [each for each in runner.hooks if type(each) is not DistSamplerSeedHook]
        self.position.seed = base_seed(runner)
        self.position.ranks_differ = _ranks_differ(runner)
        own = getattr(self.sampler, "seed", None)
        agree = self.position.load_seeds(runner.message_hub)
        seed = getattr(self.sampler, "seed", None)
        if self.configured_seed is not None and seed != own:
            print_log(
                f"train_dataloader.sampler.seed={self.configured_seed} is not that of the"
                f" checkpoint, {seed}, with which the run continues; another order needs a new run",
                "current",
                logging.WARNING,
            )
        runner.message_hub.update_info(BATCH, images_per_iteration(self))
        is_common = agree and self.position.parts.generators and get_world_size() > 1
        if is_common and draws_from_all(self.position.batch_sampler):
            print_log(
                f"train_dataloader: {type(self.sampler).__name__} draws equal numbers in all"
                f" {get_world_size()} processes, because its generator has the same state in each,"
                " so they read the same images unless each has its own data set or indices; seed it"
                " by rank, or set train_dataloader.sampler.type=DefaultSampler",
                "current",
                logging.WARNING,
            )


def _check_positions(loader: DataLoader) -> None:
    """Refuse loaders whose batches have no position from which they could be read."""
    fault = None
    if isinstance(loader.dataset, IterableDataset):
        fault = f"dataset: {type(loader.dataset).__name__} is an IterableDataset"
    elif loader.batch_sampler is None:
        fault = "batch_size=None gives single samples"
    if fault:
        raise ConfigError(
            f"train_dataloader.{fault}; runs that can resume need a data set with __getitem__ and"
            " __len__, and a batch_size of at least 1"
        )
    for name in ("__iter__", "_get_iterator"):
        known = (getattr(kind, name) for kind in (DataLoader, ResumableDataLoader))
        if getattr(type(loader), name) not in known:
            raise ConfigError(
                f"train_dataloader: {type(loader).__name__} has its own {name}, which runs that can"
                " resume do not call; pass a DataLoader, and change its batches in collate_fn, or"
                " set train_cfg.type to a loop of MMEngine"
            )


def _restoring(batches: Iterator) -> Iterator:
    """Yield batches, with the random generators of the caller between them."""
    while True:
        with preserved_random_state(cuda=False):
            batch = next(batches, _END)
        if batch is _END:
            return
        yield batch


def build_resumable_data_loader(
    runner: Runner, dataloader: DataLoader | dict, endless: bool = False
) -> ResumableDataLoader:
    """Build the loader from a PyTorch loader or its config, the forms that MMEngine's loops accept.

    Raises:
        ConfigError: the number of batches is unknown or 0, or infinite and not ``endless``; the
            data set is an ``IterableDataset``; or see :class:`ResumableDataLoader`.
    """
    own_message_hub(runner)
    if not isinstance(dataloader, dict):
        resumable = ResumableDataLoader(dataloader, endless)
    else:
        resumable = ResumableDataLoader(_build(runner, dataloader), endless)
        sampler = dataloader.get("sampler")
        resumable.configured_seed = sampler.get("seed") if isinstance(sampler, dict) else None
    check_training_sampler(resumable, by_epoch=not endless)
    return resumable


def _build(runner: Runner, dataloader: dict) -> DataLoader:
    try:
        return runner.build_dataloader(
            dataloader, seed=runner.seed, diff_rank_seed=_ranks_differ(runner)
        )
    except (TypeError, ValueError) as error:
        if not re.search(r"IterableDataset|has no len\(\)", str(error)):
            raise
        # PyTorch accepts only one of both, and MMEngine always passes a sampler
        raise ConfigError(
            f"train_dataloader.dataset has no length or is an IterableDataset ({error}); runs that"
            " can resume need a data set with __getitem__ and __len__"
        ) from error


def base_seed(runner: Runner) -> int:
    """Return the seed of the run, the same on all ranks."""
    return runner.seed - (get_rank() if _ranks_differ(runner) else 0)


def iteration_key(runner: Runner) -> tuple[int, int, int]:
    """Return the key of the current iteration's random numbers: seed, rank, iteration.

    All ranks share the key (rank 0) unless ``randomness.diff_rank_seed`` is set, as in MMEngine.
    """
    return base_seed(runner), get_rank() if _ranks_differ(runner) else 0, runner.iter


def _ranks_differ(runner: Runner) -> bool:
    return runner._randomness_cfg.get("diff_rank_seed", False)
