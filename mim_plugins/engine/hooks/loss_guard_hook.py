"""Hook that stops a run at a NaN or infinite loss, before the weights are updated."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, get_rank
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ...errors import NonFiniteLossError
from ...file_names import quote_name
from ...registry import HOOKS
from ..guards.guarded_writes import try_writing_lines
from ..model_wrapper import unwrap_model
from ..pending_number import PendingNumber

_SHOWN = 4


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Stop all processes at a non-finite loss, before it reaches the weights.

    The check of the losses starts when the model returns them. Its result is read just before the
    optimizer step, or at the end of an iteration without a step (gradient accumulation, or a step
    that the gradient scaler skips). Only the loss is checked, because infinite gradients are normal
    in float16. The rank with the invalid loss writes the paths of its images to
    ``non_finite_loss.txt`` in the work folder, and all processes raise the same error. Checkpoints
    with non-finite parameters are never written.

    On a GPU, reading the result waits for the forward pass, while the backward pass is still
    running. Several processes combine their results in an all-reduce of one number, which overlaps
    with the backward pass.

    Raises:
        NonFiniteLossError: during training, on all processes.
    """

    # runs before any hook that saves a checkpoint
    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._data_batch: Any = None
        self._flag: PendingNumber | None = None
        self._terms: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Register the hooks on the model and the optimizers."""
        self._runner = runner
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        self._flag = None
        self._handles = [
            unwrap_model(runner.model).register_forward_hook(self._check_losses, with_kwargs=True),
            *(each.optimizer.register_step_pre_hook(self._raise_if_invalid) for each in wrappers),
        ]

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Keep the batch for the image paths in the error message."""
        self._data_batch = data_batch

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Check an iteration without an optimizer step."""
        self._raise_if_invalid()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save non-finite parameters; NaN gradients can occur with a finite loss.

        Raises:
            NonFiniteLossError: a parameter is not finite.
        """
        whole = unwrap_model(runner.model).state_dict()  # also if the parameters are sharded
        invalid = [
            name for name, _ in unwrap_model(runner.model).named_parameters()
            if name in whole and not torch.isfinite(whole[name]).all()
        ]  # fmt: skip
        if invalid:
            raise NonFiniteLossError(
                f"{len(invalid)} parameters are not finite at iteration {runner.iter + 1}, the"
                f" first is {invalid[0]}; no checkpoint is written. {_REMEDY}"
            )

    def after_train(self, runner: Runner) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    @torch.compiler.disable  # its state and collectives would divide the graph of the model
    def _check_losses(self, model: nn.Module, args: tuple, kwargs: dict, losses: Any) -> None:
        """Start to check whether any process has a non-finite loss."""
        if kwargs.get("mode") != "loss" or not isinstance(losses, dict):
            return
        self._terms = {
            name: torch.stack([each.detach().float().sum() for each in _tensors(value)]).sum()
            for name, value in losses.items() if "loss" in name
        }  # fmt: skip
        if not self._terms:
            return
        is_invalid = ~torch.isfinite(torch.stack(list(self._terms.values()))).all()
        self._flag = PendingNumber(is_invalid.int() * (get_rank() + 1))

    def _raise_if_invalid(self, *_: object) -> None:
        if self._flag is None:
            return
        rank = self._flag.read() - 1  # -1 if all losses are finite
        self._flag = None
        if rank < 0:
            return
        message = [self._describe() if get_rank() == rank else ""]
        broadcast_object_list(message, src=rank)
        raise NonFiniteLossError(message[0])

    def _describe(self) -> str:
        runner = self._runner
        terms = ", ".join(f"{name}={float(value):g}" for name, value in self._terms.items())
        paths = list(_image_paths(self._data_batch))
        text = f"the loss is not finite at iteration {runner.iter + 1}, rank {get_rank()}: {terms}"
        file = Path(runner.work_dir) / "non_finite_loss.txt"
        is_written = try_writing_lines(runner.logger, file, [text, *map(quote_name, paths)])
        return (
            f"{text}. Images of the batch: {', '.join(paths[:_SHOWN])}"
            f"{', ...' if len(paths) > _SHOWN else ''} ({len(paths)}"
            f"{f' in {file}' if is_written else ''}). The weights are"
            f" those before this iteration, and checkpoints are unchanged. {_REMEDY}"
        )


_REMEDY = (
    "Resume from the last checkpoint with a lower learning rate, gradient clipping"
    " (optim_wrapper.clip_grad) or bfloat16 instead of float16"
)


def _tensors(value: Tensor | list[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else value


def _image_paths(data: Any) -> Iterator[str]:
    """Yield the image paths of all samples in a nested batch."""
    if isinstance(data, BaseDataElement):
        if "img_path" in data.metainfo:
            yield str(data.metainfo["img_path"])
    elif isinstance(data, dict | list | tuple):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _image_paths(part)
