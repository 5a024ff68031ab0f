"""Hook that reads the losses of a GPU once per logging interval."""

from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner
from torch import Tensor

from ...registry import HOOKS

_MOST_PENDING = 50  # iterations, if no hook logs


@HOOKS.register_module()
class DeferredScalarsHook(RuntimeInfoHook):
    """MMEngine's hook for the message hub, without waiting for the GPU in every iteration.

    MMEngine reads each loss in each iteration, and the CPU waits for the GPU each time. This hook
    keeps the losses on the GPU and reads all of them at once before they are logged or saved, and
    at the end of each epoch. The history in the message hub is the same then; in between, it ends
    with an earlier iteration. Losses on the CPU are added in every iteration.
    """

    def __init__(self) -> None:
        self._pending: list[dict[str, Any]] = []

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep the losses, and add them to the message hub if they are needed now."""
        self._pending.append(
            {k: v.detach() if isinstance(v, Tensor) else v for k, v in (outputs or {}).items()}
        )
        on_device = any(_is_on_device(value) for value in self._pending[-1].values())
        if not on_device or self._are_needed(runner, batch_idx):
            self._add_pending(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Save a complete history."""
        if self._pending and "message_hub" in checkpoint:
            self._add_pending(runner)
            checkpoint["message_hub"] = runner.message_hub.state_dict()

    def after_train(self, runner: Runner) -> None:
        """Add the losses that are left."""
        self._add_pending(runner)
        super().after_train(runner)

    def _are_needed(self, runner: Runner, batch_idx: int) -> bool:
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        return (
            len(self._pending) >= _MOST_PENDING
            or self.is_last_train_iter(runner)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or any(
                self.every_n_inner_iters(batch_idx, logger.interval)
                or self.every_n_train_iters(runner, logger.interval_exp_name)
                for logger in loggers
            )
        )

    def _add_pending(self, runner: Runner) -> None:
        """Add all kept losses to the message hub; the CPU waits once."""
        pending, self._pending = self._pending, []
        found = [v for outputs in pending for v in outputs.values() if _is_on_device(v)]
        numbers = iter(_read(found))
        for outputs in pending:
            for name, value in outputs.items():
                number = next(numbers) if _is_on_device(value) else value
                runner.message_hub.update_scalar(f"train/{name}", number)


def _is_on_device(value: Any) -> bool:
    return isinstance(value, Tensor) and value.device.type != "cpu"


def _read(values: list[Tensor]) -> list[float]:
    """Return the values of tensors with one element each."""
    if not values:
        return []
    return torch.stack([value.float().reshape(()) for value in values]).cpu().tolist()
