"""Iteration-based training loop that resumes exactly."""

from collections.abc import Iterator
from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ...randomness import seed_generators
from ...registry import LOOPS
from ..resume.checkpoint_writer import wait_for_write
from .endless_sampler import check_validation_sampler
from .missed_validation import run_missed_validation
from .resumable_data_loader import build_resumable_data_loader, iteration_key
from .schedule_length import check_count, check_intervals


class _ResumedIterator:
    """Iterator that starts at the current iteration but accepts requests for past batches.

    When resuming, MMEngine's loop reads and drops every past batch; that of its fork onedl-mmengine
    calls ``skip_iter``. Neither must consume a batch here.
    """

    def __init__(self, past: int, batches: Iterator) -> None:
        self.past = past
        self.batches = batches

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        if self.past:
            self.past -= 1
            return None
        return next(self.batches)

    def skip_iter(self, count: int) -> None:
        """Skip ``count`` past batches."""
        self.past -= count


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """MMEngine's iteration loop, with random numbers that do not depend on interruptions.

    It follows the rules of :class:`ResumableEpochLoop`. Resuming skips past indices, whereas
    MMEngine's loop reads all past images again. A finite sampler is repeated, with the same
    workers.

    Args:
        runner: MMEngine's runner.
        dataloader: training loader, or its config.
        max_iters: number of iterations to train.
        *args: further arguments of MMEngine's loop.
        **kwargs: further arguments of MMEngine's loop.

    Raises:
        ConfigError: the number of iterations or an interval of the loop or a hook is below 1, or
            the training loader has no length. When the run starts: the validation sampler is
            endless.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        check_count("train_cfg.max_iters", max_iters)
        dataloader = build_resumable_data_loader(runner, dataloader, endless=True)
        super().__init__(runner, dataloader, max_iters, *args, **kwargs)
        check_intervals((self.val_interval, *self.dynamic_intervals), runner.hooks)

    def run(self) -> nn.Module:
        """Train from the current iteration to the end."""
        check_validation_sampler(self.runner)
        self._is_starting = True
        self.dataloader.load_seeds(self.runner)
        batches = self.dataloader.iter_from(0, self._iter)
        self.dataloader_iterator = _ResumedIterator(self._iter, batches)
        try:
            return super().run()
        finally:  # also after an error: the run may be resumed in another process
            wait_for_write(self.runner)

    def run_iter(self, data_batch: Any) -> None:
        """Train on one batch."""
        if self._is_starting:
            self._is_starting = False
            run_missed_validation(self, self._iter)
            self.runner.model.train()
        seed_generators(*iteration_key(self.runner), cuda=True)
        super().run_iter(data_batch)
