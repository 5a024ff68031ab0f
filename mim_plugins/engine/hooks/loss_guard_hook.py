"""Hook that stops a run at a loss which is NaN or infinite, before it spoils the weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import broadcast_object_list, get_rank, is_distributed
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ...errors import NonFiniteLossError
from ...file_names import quote_name
from ...registry import HOOKS
from ..guards.guarded_writes import try_writing_lines

_SHOWN = 4


@HOOKS.register_module()
class LossGuardHook(Hook):
    """Stop all processes at a non-finite loss, with the weights as they were before it.

    The losses are looked at when the model returns them, and the verdict is read just before the
    optimizer's step, or after an iteration without one (gradient accumulation, or a step that the
    gradient scaler leaves out). Only the loss counts: infinite gradients are normal under float16.
    The process with the loss writes its images' paths to ``non_finite_loss.txt`` in the work
    folder, and all processes raise its message. No checkpoint is written with parameters that are
    not finite.

    On a GPU, reading the verdict waits for the backward pass, so that the optimizer's kernels are
    launched after it and not during it; several processes share the verdict in one all-reduce of
    one number, which runs beside the backward pass.

    Raises:
        NonFiniteLossError: in training, on all processes.
    """

    # before any hook that saves
    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._data_batch: Any = None
        self._flag: Tensor | None = None
        self._work: Any = None
        self._terms: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Watch the model's losses and the optimizers' steps."""
        self._runner = runner
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._flag = None
        self._handles = [
            model.register_forward_hook(self._check_losses, with_kwargs=True),
            *(each.optimizer.register_step_pre_hook(self._raise_if_invalid) for each in wrappers),
        ]

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Keep the batch, whose image paths the error names."""
        self._data_batch = data_batch

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Judge an iteration whose optimizer made no step."""
        self._raise_if_invalid()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save spoilt weights: gradients can be NaN though the loss is not.

        Raises:
            NonFiniteLossError: naming the parameters.
        """
        spoilt = [
            name for name, parameter in runner.model.named_parameters()
            if not torch.isfinite(parameter).all()
        ]  # fmt: skip
        if spoilt:
            raise NonFiniteLossError(
                f"{len(spoilt)} parameters are not finite at iteration {runner.iter + 1}, the first"
                f" is {spoilt[0]}; no checkpoint is written. {_REMEDY}"
            )

    def after_train(self, runner: Runner) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def _check_losses(self, model: nn.Module, args: tuple, kwargs: dict, losses: Any) -> None:
        """Begin to find out whether this process or another one has a non-finite loss."""
        if kwargs.get("mode") != "loss" or not isinstance(losses, dict):
            return
        self._terms = {
            name: torch.stack([each.detach().float().sum() for each in _tensors(value)]).sum()
            for name, value in losses.items() if "loss" in name
        }  # fmt: skip
        if not self._terms:
            return
        bad = ~torch.isfinite(torch.stack(list(self._terms.values()))).all()
        self._flag = bad.int() * (get_rank() + 1)
        if is_distributed():
            self._work = dist.all_reduce(self._flag, dist.ReduceOp.MAX, async_op=True)

    def _raise_if_invalid(self, *_: object) -> None:
        if self._flag is None:
            return
        if self._work is not None:
            self._work.wait()
        culprit = int(self._flag) - 1
        self._flag = self._work = None
        if culprit < 0:
            return
        message = [self._describe() if get_rank() == culprit else ""]
        broadcast_object_list(message, src=culprit)
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
            f" those before this iteration, checkpoints are untouched. {_REMEDY}"
        )


_REMEDY = (
    "Resume from the last checkpoint with a lower learning rate, gradient clipping"
    " (optim_wrapper.clip_grad) or bfloat16 in place of float16"
)


def _tensors(value: Tensor | list[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else value


def _image_paths(data: Any) -> Iterator[str]:
    """Paths of all samples anywhere in a batch."""
    if isinstance(data, BaseDataElement):
        if "img_path" in data.metainfo:
            yield str(data.metainfo["img_path"])
    elif isinstance(data, dict | list | tuple):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _image_paths(part)
