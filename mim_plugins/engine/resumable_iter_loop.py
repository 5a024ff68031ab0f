"""Training loop in iterations whose resumed runs equal uninterrupted ones."""

import itertools
from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ..randomness import seed_generators
from ..registry import LOOPS
from .resumable_data_loader import build_resumable_data_loader, iteration_key


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """MMEngine's iteration loop, with random numbers that do not depend on where one stopped.

    As :class:`ResumableEpochLoop`. Resuming skips past indices, where MMEngine's loop reads all
    past images again. A sampler that is not endless starts anew, without new workers.

    Args:
        runner: the runner.
        dataloader: of the training images, or its config.
        *args: of MMEngine's loop.
        **kwargs: of MMEngine's loop.
    """

    def __init__(
        self, runner: Runner, dataloader: DataLoader | dict, *args: Any, **kwargs: Any
    ) -> None:
        dataloader = build_resumable_data_loader(runner, dataloader, endless=True)
        super().__init__(runner, dataloader, *args, **kwargs)

    def run(self) -> nn.Module:
        """Train from the current iteration on."""
        self.dataloader.take_seeds_of(self.runner)
        # MMEngine asks for every past batch and drops it
        past = itertools.repeat(None, self._iter)
        self.dataloader_iterator = itertools.chain(past, self.dataloader.batches(0, self._iter))
        return super().run()

    def run_iter(self, data_batch: Any) -> None:
        """Train on one batch."""
        seed_generators(*iteration_key(self.runner), cuda=True)
        super().run_iter(data_batch)
