"""Memory that a training step keeps for its backward pass, without a GPU."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def activation_bytes(forward: Callable[[], Tensor], parameters: Iterable[Tensor]) -> int:
    """Bytes of the tensors that autograd keeps until the backward pass of ``forward()``.

    Tensors that share memory count once, ``parameters`` (and what only refers to them) not at all.
    Temporary memory of single operations is not included. Works on any device, ``meta`` too.
    """
    with saved_for_backward(parameters) as kept:
        forward()
    return sum(storage.nbytes() for storage in kept.values())


@contextmanager
def saved_for_backward(excluded: Iterable[Tensor]) -> Iterator[dict[int, torch.UntypedStorage]]:
    """Storages that autograd keeps meanwhile, each once, without those of ``excluded`` tensors."""
    own = {tensor.untyped_storage()._cdata for tensor in excluded}
    kept: dict[int, torch.UntypedStorage] = {}  # holding a storage keeps its number unique

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor.detach()  # a node that keeps its own output would never be freed

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept
