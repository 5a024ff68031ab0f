"""Copies of checkpoints in main memory."""

import copy
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from ..model_wrapper import unwrap_model
from ..sharding.sharded_tensors import local_part

_COPIED_BY_MMENGINE = ("state_dict", "optimizer")  # if they are on a GPU


class CheckpointCopier:
    """Copies checkpoints to main memory, so that training may change the run's tensors.

    The memory is used again for the next copy, which makes it several times as fast, because new
    memory is assigned page by page.
    """

    def __init__(self) -> None:
        self._buffers: dict[int, list[torch.UntypedStorage]] = {}  # by size in bytes

    def copy(self, runner: Runner, content: dict) -> dict:
        """Return a copy that shares no tensor with the run; it replaces the previous one.

        Tensors that share memory with each other, such as tied weights, do so in the copy. What
        MMEngine has already copied from a GPU is not copied again.
        """
        kept: dict[int, Any] = {}
        free, self._buffers = self._buffers, defaultdict(list)
        copied: dict[int, torch.UntypedStorage] = {}
        used = {_address(local_part(tensor)) for tensor in _tensors_of_run(runner)}
        for key, value in content.items():
            for tensor in _tensors(value):
                address = _address(tensor)
                if tensor.device.type not in ("cpu", "meta"):  # added by a hook, such as EMAHook
                    kept[id(tensor)] = tensor.cpu()
                elif key in _COPIED_BY_MMENGINE and address not in used:
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


def _tensors_of_run(runner: Runner) -> Iterator[Tensor]:
    """Yield the tensors that training changes, and a tensor without memory."""
    yield torch.empty(0)
    model = unwrap_model(runner.model)
    yield from model.parameters()
    yield from model.buffers()
    wrapper: Any = runner.optim_wrapper
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
