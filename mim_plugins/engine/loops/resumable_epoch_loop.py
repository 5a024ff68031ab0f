"""Epoch-based training loop that resumes exactly."""

from typing import Any

from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from ...randomness import seed_generators
from ...registry import LOOPS
from ..resume.resumed_position import POSITION
from .due_validation import run_due_validation, run_missed_validation
from .endless_sampler import check_validation_sampler
from .epoch_hooks import call_epoch_hooks
from .history_length import history_length, limit_histories
from .resumable_data_loader import build_resumable_data_loader, iteration_key
from .schedule_length import check_count, check_intervals
from .training_end import end_training


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop, with random numbers that do not depend on interruptions.

    Random numbers of the model (masks, drop path, mixing) depend on the seed of the run, the rank
    and the iteration, those of hooks before and after an epoch on the epoch instead. The
    augmentation of a sample depends on the seed, the rank, the epoch and its position within the
    epoch. A checkpoint saved within an epoch resumes at the next batch without reading past images.
    If the number of iterations per epoch has changed, it resumes at the same fraction of the epoch.

    Args:
        runner: MMEngine's runner.
        dataloader: training loader, or its config.
        max_epochs: number of epochs to train.
        *args: further arguments of MMEngine's loop.
        **kwargs: further arguments of MMEngine's loop.

    Raises:
        ConfigError: the number of epochs or an interval of the loop or a hook is below 1, or the
            training sampler is endless. When the run starts: the validation sampler is endless.

    Example:
        A run of two epochs that resumes up to the fourth equals an uninterrupted run:

        >>> import tempfile, torch
        >>> from mmengine.model import BaseModel
        >>> from mmengine.runner import Runner
        >>> class Model(BaseModel):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.weight = torch.nn.Parameter(torch.zeros(2))
        ...     def forward(self, inputs, mode="loss"):
        ...         noise = torch.rand(2)
        ...         return dict(loss=(self.weight - torch.stack(inputs) * noise).square().sum())
        >>> def train(folder, max_epochs, resume=False):
        ...     dataset = [dict(inputs=torch.tensor([i / 8])) for i in range(8)]
        ...     runner = Runner(
        ...         Model(),
        ...         folder,
        ...         train_dataloader=dict(
        ...             batch_size=2, dataset=dataset, sampler=dict(type="DefaultSampler")
        ...         ),
        ...         train_cfg=dict(type="mim_plugins.ResumableEpochLoop", max_epochs=max_epochs),
        ...         optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        ...         resume=resume,
        ...         randomness=dict(seed=0),
        ...         log_level="ERROR",
        ...         experiment_name=f"{folder}_{max_epochs}",
        ...     )
        ...     return runner.train().weight
        >>> uninterrupted, resumed = tempfile.mkdtemp(), tempfile.mkdtemp()
        >>> expected = train(uninterrupted, max_epochs=4)
        >>> _ = train(resumed, max_epochs=2)
        >>> weight = train(resumed, max_epochs=4, resume=True)  # doctest: +ELLIPSIS
        Loads checkpoint by local backend from path: ...epoch_2.pth
        >>> torch.equal(weight, expected)
        True
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
        self._first_length = len(self.dataloader)  # later epochs may have other lengths

    def run(self) -> nn.Module:
        """Train from the current epoch and iteration to the end."""
        check_validation_sampler(self.runner)
        self.dataloader.load_seeds(self.runner)
        self._history_length = history_length(self.runner, self._first_length)
        try:
            self.runner.call_hook("before_train")
            if not self._completed_batches():
                run_missed_validation(self, self._epoch)
            while self._epoch < self._max_epochs and not self.stop_training:
                self.run_epoch()
                self._decide_current_val_interval()
                run_due_validation(self, self._epoch)
            self.runner.call_hook("after_train")
        finally:
            end_training(self.runner)
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on the remaining batches of the current epoch."""
        self.dataloader.begin(self._epoch)
        call_epoch_hooks(self.runner, "before_train_epoch")
        self.runner.model.train()
        done = self._completed_batches()
        for idx, data_batch in enumerate(self.dataloader.iter_from(self._epoch, done), done):
            self.run_iter(idx, data_batch)
            done = idx + 1
        if done < len(self.dataloader):
            self.runner.logger.warning(
                f"epoch {self._epoch + 1} ended after {done} of {len(self.dataloader)} batches,"
                " because the sampler yields fewer indices than its length; schedules count on the"
                " length"
            )
        call_epoch_hooks(self.runner, "after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on one batch."""
        self._store_position(idx + 1)  # hooks save checkpoints after the training step
        seed_generators(*iteration_key(self.runner), cuda=True)
        limit_histories(self.runner, self._history_length)
        try:
            super().run_iter(idx, data_batch)
        except BaseException:  # the caller may save a checkpoint or train again
            self._store_position(idx)
            raise

    def _store_position(self, batches: int) -> None:
        self.runner.message_hub.update_info(
            POSITION, dict(epoch=self._epoch, batches=batches, of=self._first_length)
        )

    def _completed_batches(self) -> int:
        """Return the number of batches of the current epoch completed before the checkpoint."""
        length = self._first_length
        if POSITION not in self.runner.message_hub.runtime_info:
            # no checkpoint, or one of another loop
            done = self._iter - self._epoch * length
            return done if 0 <= done <= length else 0
        position = self.runner.message_hub.get_info(POSITION)
        if position["epoch"] != self._epoch:
            return 0
        return position["batches"] * length // position["of"]
