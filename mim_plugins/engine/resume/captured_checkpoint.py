"""Checkpoints that MMEngine collects, but that are written later."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner, checkpoint, runner
from torch import Tensor

from ..model_wrapper import unwrap_model
from .atomic_local_backend import ATOMIC_BACKEND, AtomicLocalBackend

_COPIED_BY_MMENGINE = ("state_dict", "optimizer")  # if they are on a GPU


@contextmanager
def captured_checkpoint(run: Runner, as_copy: bool) -> Iterator[list[Callable[[], object]]]:
    """Collect what ``run.save_checkpoint`` would write in the block.

    Args:
        run: the runner that saves.
        as_copy: whether training changes the weights before the file is written.

    Yields:
        Functions that write the files.
    """
    found: list[Callable[[], object]] = []

    def capture(content: dict, path: str, **storage: Any) -> None:
        content = copy_checkpoint(run, content) if as_copy else content
        found.append(partial(_write, content, path, **storage))

    original = runner.save_checkpoint
    setattr(runner, "save_checkpoint", capture)  # noqa: B010  MMEngine has no other way to it
    try:
        yield found
    finally:
        setattr(runner, "save_checkpoint", original)  # noqa: B010


def copy_checkpoint(run: Runner, content: dict) -> dict:
    """Return a copy of a checkpoint in main memory that shares no tensor with the run.

    Tensors that share memory with each other, such as tied weights, do so in the copy. What
    MMEngine has already copied from a GPU is not copied again.
    """
    kept: dict[int, Any] = {}
    used = {_address(tensor) for tensor in _tensors_of_run(run)}
    for key, value in content.items():
        for tensor in _tensors(value):
            if tensor.device.type not in ("cpu", "meta"):  # added by a hook, such as EMAHook
                kept[id(tensor)] = tensor.cpu()
            elif key in _COPIED_BY_MMENGINE and _address(tensor) not in used:
                kept[id(tensor)] = tensor
    return copy.deepcopy(content, kept)


def _write(content: dict, path: str, **storage: Any) -> None:
    if storage.get("backend_args") == dict(backend=ATOMIC_BACKEND):
        AtomicLocalBackend().put(content, path)
    else:
        checkpoint.save_checkpoint(content, path, **storage)


def _address(tensor: Tensor) -> int:
    """Return the address of a tensor's memory, 0 if it has none or several."""
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return tensor.untyped_storage().data_ptr() if is_plain else 0


def _tensors_of_run(run: Runner) -> Iterator[Tensor]:
    """Yield the tensors that training changes, and a tensor without memory."""
    yield torch.empty(0)
    model = unwrap_model(run.model)
    yield from model.parameters()
    yield from model.buffers()
    wrapper: Any = run.optim_wrapper
    for each in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        optimizer = getattr(each.optimizer, "optim", each.optimizer)  # inside the sharded one
        for entries in optimizer.state.values():
            yield from _tensors(entries)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
