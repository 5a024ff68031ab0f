"""Iteration-based training loop that resumes exactly."""

from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ...randomness import seed_generators
from ...registry import LOOPS
from .due_validation import run_due_validation, run_missed_validation
from .endless_sampler import check_validation_sampler
from .epoch_hooks import call_epoch_hooks
from .history_length import history_length, limit_histories
from .resumable_data_loader import build_resumable_data_loader, iteration_key
from .schedule_length import check_count, check_intervals, check_units
from .training_end import end_training


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """MMEngine's iteration loop, with random numbers that do not depend on interruptions.

    It follows the rules of :class:`ResumableEpochLoop`. Resuming skips past indices, whereas
    MMEngine's loop reads all past images again. A finite sampler is repeated, with the same
    workers, which keep the data set of their start if a hook changes it.

    Args:
        runner: MMEngine's runner.
        dataloader: training loader, or its config.
        max_iters: number of iterations to train.
        *args: further arguments of MMEngine's loop.
        **kwargs: further arguments of MMEngine's loop.

    Raises:
        ConfigError: the number of iterations or an interval of the loop or a hook is below 1, or
            the training loader has no length. When the run starts: the validation sampler is
            endless, or a hook or a scheduler counts epochs.
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
        check_units(self.runner)
        check_validation_sampler(self.runner)
        self.dataloader.load_seeds(self.runner)
        self._history_length = history_length(self.runner, len(self.dataloader))
        try:
            self.runner.call_hook("before_train")
            self.dataloader.begin(0)
            # the run is one epoch, as in MMEngine
            call_epoch_hooks(self.runner, "before_train_epoch")
            run_missed_validation(self, self._iter)
            # after the hooks, which may change the sampler, because workers read ahead
            self.dataloader_iterator = self.dataloader.iter_from(0, self._iter)
            while self._iter < self._max_iters and not self.stop_training:
                self.runner.model.train()
                self.run_iter(next(self.dataloader_iterator))
                self._decide_current_val_interval()
                run_due_validation(self, self._iter)
            call_epoch_hooks(self.runner, "after_train_epoch")
            self.runner.call_hook("after_train")
        finally:
            end_training(self.runner)
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        """Train on one batch."""
        seed_generators(*iteration_key(self.runner), cuda=True)
        limit_histories(self.runner, self._history_length)
        super().run_iter(data_batch)
