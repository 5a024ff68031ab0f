"""Training loop in iterations whose resumed runs equal uninterrupted ones."""

from collections.abc import Iterator
from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ...randomness import seed_generators
from ...registry import LOOPS
from .endless_sampler import require_end_of_validation
from .missed_validation import make_up_validation
from .resumable_data_loader import build_resumable_data_loader, iteration_key
from .schedule_length import check_count, check_intervals


class _Batches:
    """Batches from the current iteration on, for loops that first want to pass over past ones.

    MMEngine's asks for every past batch and drops it; its fork's says how many to skip.
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
        """Pass over ``count`` past batches."""
        self.past -= count


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """MMEngine's iteration loop, with random numbers that do not depend on where one stopped.

    As :class:`ResumableEpochLoop`. Resuming skips past indices, where MMEngine's loop reads all
    past images again. A sampler that is not endless starts anew, without new workers.

    Args:
        runner: the runner.
        dataloader: of the training images, or its config.
        max_iters: iterations to train.
        *args: of MMEngine's loop.
        **kwargs: of MMEngine's loop.

    Raises:
        ConfigError: a number of iterations, or an interval of the loop or of a hook, is below 1; or
            the loader has no length. When the run begins: the sampler of the validation is endless.
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
        """Train from the current iteration on."""
        require_end_of_validation(self.runner)
        self._begins = True
        self.dataloader.load_seeds(self.runner)
        self.dataloader_iterator = _Batches(self._iter, self.dataloader.batches(0, self._iter))
        return super().run()

    def run_iter(self, data_batch: Any) -> None:
        """Train on one batch."""
        if self._begins:
            self._begins = False
            make_up_validation(self, self._iter)
            self.runner.model.train()
        seed_generators(*iteration_key(self.runner), cuda=True)
        super().run_iter(data_batch)
