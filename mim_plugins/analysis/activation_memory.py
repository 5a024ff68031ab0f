"""Memory of the activations that autograd saves for the backward pass, without a GPU."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def activation_bytes(forward: Callable[[], Tensor], parameters: Iterable[Tensor]) -> int:
    """Return the bytes of the tensors that autograd saves in ``forward()`` for the backward pass.

    Tensors that share memory count once; ``parameters`` and their views do not count. Temporary
    memory of single operations is not included. This works on any device, including ``meta``.
    """
    with saved_for_backward(parameters) as saved:
        forward()
    return sum(storage.nbytes() for storage in saved.values())


@contextmanager
def saved_for_backward(excluded: Iterable[Tensor]) -> Iterator[dict[int, torch.UntypedStorage]]:
    """Collect the storages that autograd saves, each once, except those of ``excluded`` tensors."""
    own = {tensor.untyped_storage()._cdata for tensor in excluded}
    saved: dict[int, torch.UntypedStorage] = {}  # a reference keeps the storage's key unique

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            saved[storage._cdata] = storage
        return tensor.detach()  # a node that saves its own output would never be freed

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved
