"""Transfer of a sharded optimizer state to the main process while training continues."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from mmengine.runner import Runner
from torch import Tensor
from torch.distributed.optim import ZeroRedundancyOptimizer


class ShardedStateTransfer:
    """Gathers the state of a ZeroRedundancyOptimizer on the main process during training.

    Each process copies its part, which is all that training waits for, and sends the copy in a
    thread. The processes use separate gloo connections, so the collective operations of training
    are not affected.
    """

    _group: Any = None

    def start(self, runner: Runner) -> Callable[[], object]:
        """Copy the state in all processes and return the function that transfers it.

        In the main process, ``optimizer.state_dict()`` is then complete, but large tensors of other
        processes are zero until the returned function has filled them.

        Returns:
            A function that every process must call; it raises ConnectionError if a process is lost.
            It does nothing if the optimizer is not sharded.
        """
        optimizer: Any = getattr(runner.optim_wrapper, "optimizer", None)
        is_sharded = isinstance(optimizer, ZeroRedundancyOptimizer)
        if not is_sharded:
            return lambda: None
        if self._group is None:
            self._group = dist.new_group(backend="gloo")
        own = optimizer.optim.state_dict()
        outlines: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(outlines, _replaced(own, _outline), group=self._group)
        if dist.get_rank():
            copies = [_contiguous_copy(tensor) for tensor in _large(own)]
            return lambda: self._send(copies)
        others = [_replaced(outline, _allocated) for outline in outlines[1:]]
        optimizer._all_state_dicts = [own, *others]
        return lambda: self._receive(others)

    def _send(self, copies: list[Tensor]) -> None:
        try:
            for tensor in copies:
                dist.send(_bytes(tensor), dst=0, group=self._group)
        except RuntimeError as error:
            raise ConnectionError("the connection to the main process is lost") from error

    def _receive(self, states: list[dict]) -> None:
        for rank, state in enumerate(states, 1):
            try:
                for tensor in _large(state):
                    dist.recv(_bytes(tensor), src=rank, group=self._group)
            except RuntimeError as error:
                raise ConnectionError(f"the connection to process {rank} is lost") from error


def _replaced(state: dict, replace: Callable[[Tensor], Tensor]) -> dict:
    """Return a state whose tensors of the parameters are replaced."""
    entries = {
        index: {
            name: replace(value) if isinstance(value, Tensor) else value
            for name, value in each.items()
        }
        for index, each in state["state"].items()
    }
    return state | dict(state=entries)


def _outline(tensor: Tensor) -> Tensor:
    """Return the shape and type of a large tensor, or a small tensor itself."""
    if tensor.numel() == 1:
        return tensor.cpu()
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


def _allocated(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor


def _large(state: dict) -> Iterator[Tensor]:
    for each in state["state"].values():
        yield from (v for v in each.values() if isinstance(v, Tensor) and v.numel() > 1)


def _contiguous_copy(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.view(-1).view(torch.uint8)
