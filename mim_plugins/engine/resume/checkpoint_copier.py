"""Copies of checkpoints in main memory."""

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor

from ..model_wrapper import unwrap_model
from ..sharding.sharded_tensors import local_part


class CheckpointCopier:
    """Copies checkpoints to main memory, so training may change the tensors of the run.

    The memory is used again for the next copy, which makes it several times as fast, because new
    memory is assigned page by page.
    """

    def __init__(self) -> None:
        self._buffers: dict[int, list[torch.UntypedStorage]] = {}  # by size in bytes

    def copy(self, runner: Runner, content: dict) -> dict:
        """Return a copy that shares no tensor with the run; it replaces the previous one.

        Tensors that share memory with each other, such as tied weights, do so in the copy. What
        MMEngine has already copied from a GPU, or other processes have sent, is not copied again.
        """
        kept: dict[int, Any] = {}
        free, self._buffers = self._buffers, defaultdict(list)
        copied: dict[int, torch.UntypedStorage] = {}
        used = {_address(local_part(tensor)) for tensor in _tensors_of_run(runner)}
        collected = _collected_keys(runner)
        for key, value in content.items():
            for tensor in _tensors(value):
                address = _address(tensor)
                if tensor.device.type not in ("cpu", "meta"):  # added by a hook, such as EMAHook
                    kept[id(tensor)] = tensor.cpu()
                elif key in collected and address not in used:
                    kept[id(tensor)] = tensor
                elif address:
                    if address not in copied:
                        copied[address] = self._copy(tensor.untyped_storage(), free)
                    place = tensor.storage_offset(), tensor.size(), tensor.stride()
                    empty = torch.empty(0, dtype=tensor.dtype)
                    kept[id(tensor)] = empty.set_(copied[address], *place)
        return copy.deepcopy(content, kept)

    def _copy(
        self, source: torch.UntypedStorage, free: dict[int, list[torch.UntypedStorage]]
    ) -> torch.UntypedStorage:
        size = source.nbytes()
        buffer = free[size].pop() if free.get(size) else torch.UntypedStorage(size)
        buffer.copy_(source)
        self._buffers[size].append(buffer)
        return buffer


def _address(tensor: Tensor) -> int:
    """Return the address of a plain tensor's memory in main memory, 0 of all others."""
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    is_plain = is_plain and type(tensor) in (Tensor, nn.Parameter)
    if not is_plain or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return 0
    return tensor.untyped_storage().data_ptr()


def _collected_keys(runner: Runner) -> list[str]:
    """Return the entries of a checkpoint with tensors that no longer belong to the run."""
    parameters = list(unwrap_model(runner.model).parameters())
    if any(isinstance(each, DTensor) or each.device.type != "cpu" for each in parameters):
        return ["state_dict", "optimizer"]
    optimizer = getattr(runner.optim_wrapper, "optimizer", None)
    return ["optimizer"] if isinstance(optimizer, ZeroRedundancyOptimizer) else []


def _tensors_of_run(runner: Runner) -> Iterator[Tensor]:
    """Yield the tensors that training changes, and a tensor without memory."""
    yield torch.empty(0)
    models = [value for hook in runner.hooks for value in vars(hook).values()]  # such as averages
    for model in (unwrap_model(runner.model), *models):
        if isinstance(model, nn.Module):
            yield from model.parameters()
            yield from model.buffers()
            yield from _extra_states(model)
    wrapper: Any = runner.optim_wrapper
    for each in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        optimizer = getattr(each.optimizer, "optim", each.optimizer)  # inside the sharded one
        yield from _tensors(list(optimizer.state.values()))
        yield from _tensors(optimizer.param_groups)


def _extra_states(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield from _tensors(module.get_extra_state())


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
