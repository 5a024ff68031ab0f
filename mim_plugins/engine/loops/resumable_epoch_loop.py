"""Training loop in epochs whose resumed runs equal uninterrupted ones."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ...randomness import seed_generators
from ...registry import LOOPS
from ..resume.resumed_position import POSITION
from .endless_sampler import require_end_of_validation
from .missed_validation import make_up_validation
from .resumable_data_loader import build_resumable_data_loader, iteration_key
from .schedule_length import check_count, check_intervals


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop, with random numbers that do not depend on where one stopped.

    Model-side numbers (masks, drop path, mixing) follow from the run's seed, the rank and the
    iteration; a sample's augmentation from the seed, the rank, the epoch and its place in it. A
    checkpoint that was saved within an epoch resumes at the next batch, without reading past
    images; with another number of iterations per epoch, at the same part of the epoch.

    Args:
        runner: the runner.
        dataloader: of the training images, or its config.
        max_epochs: epochs to train.
        *args: of MMEngine's loop.
        **kwargs: of MMEngine's loop.

    Raises:
        ConfigError: a number of epochs, or an interval of the loop or of a hook, is below 1; or the
            sampler is endless. When the run begins: that of the validation is.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        check_count("train_cfg.max_epochs", max_epochs)
        dataloader = build_resumable_data_loader(runner, dataloader)
        super().__init__(runner, dataloader, max_epochs, *args, **kwargs)
        check_intervals((self.val_interval, *self.dynamic_intervals), runner.hooks)

    def run(self) -> nn.Module:
        """Train from the current epoch and iteration on."""
        require_end_of_validation(self.runner)
        self._begins = True
        self.dataloader.load_seeds(self.runner)
        return super().run()

    def run_epoch(self) -> None:
        """Train on what is left of the current epoch."""
        if self._begins:
            self._begins = False
            make_up_validation(self, self._epoch)
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._batches_done()
        for idx, data_batch in enumerate(self.dataloader.batches(self._epoch, done), done):
            self.run_iter(idx, data_batch)
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on one batch."""
        self.runner.message_hub.update_info(
            POSITION, dict(epoch=self._epoch, batches=idx + 1, of=len(self.dataloader))
        )
        seed_generators(*iteration_key(self.runner), cuda=True)
        super().run_iter(idx, data_batch)

    def _batches_done(self) -> int:
        """Batches of the current epoch that the checkpoint, if any, has seen."""
        length = len(self.dataloader)
        if POSITION not in self.runner.message_hub.runtime_info:
            # a checkpoint of another loop, or none
            done = self._iter - self._epoch * length
            return done if 0 <= done <= length else 0
        position = self.runner.message_hub.get_info(POSITION)
        if position["epoch"] != self._epoch:
            return 0
        return position["batches"] * length // position["of"]
