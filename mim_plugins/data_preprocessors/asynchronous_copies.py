"""Copies from the CPU to a GPU that do not let the CPU wait."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_GPUS = ("cuda", "meta")  # the device "meta" stands for a GPU in the cost model


class AsynchronousCopies(TorchFunctionMode):
    """Context manager in which ``tensor.to(device)`` and indices from the CPU copy asynchronously.

    The data pass through pinned memory, so the values are those of a blocking copy.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Call a function of PyTorch."""
        kwargs = kwargs or {}
        if func is Tensor.to and len(args) == 2 and not kwargs and _is_copy_to_gpu(*args):
            return _copy(*args)
        if func is Tensor.__getitem__ and args[0].device.type in _GPUS:
            tensor, index = args
            if isinstance(index, tuple):
                return func(tensor, tuple(_on_device(x, tensor.device) for x in index))
            return func(tensor, _on_device(index, tensor.device))
        return func(*args, **kwargs)


def copy_without_waiting(preprocessor: Any) -> None:
    """Let a data preprocessor copy batches to the GPU while the CPU continues.

    Not every preprocessor of MMEngine's projects accepts ``non_blocking``, and mmpretrain's
    :class:`ClsDataPreprocessor` copies labels and the order of Mixup and CutMix in any case. Images
    are copied asynchronously from pinned memory only.
    """
    if hasattr(preprocessor, "_non_blocking"):
        preprocessor._non_blocking = True
    if is_of_classification(preprocessor):
        preprocessor.forward = partial(_forward, preprocessor)  # type: ignore[method-assign]


def is_of_classification(preprocessor: Any) -> bool:
    """Return whether a data preprocessor is mmpretrain's, without importing mmpretrain's models."""
    return any(
        kind.__name__ == "ClsDataPreprocessor" and kind.__module__.startswith("mmpretrain.")
        for kind in type(preprocessor).__mro__
    )


def _forward(preprocessor: Any, *args: Any, **kwargs: Any) -> Any:
    forward = type(preprocessor).forward
    if torch.compiler.is_compiling():
        return forward(preprocessor, *args, **kwargs)
    with AsynchronousCopies():
        return forward(preprocessor, *args, **kwargs)


def _is_copy_to_gpu(tensor: Tensor, target: Any) -> bool:
    is_device = isinstance(target, (str, torch.device))
    return is_device and tensor.device.type == "cpu" and torch.device(target).type in _GPUS


def _on_device(index: Any, device: torch.device) -> Any:
    is_order = isinstance(index, Tensor) and index.dtype == torch.int64 and index.dim() > 0
    return _copy(index, device) if is_order and index.device.type == "cpu" else index


def _copy(tensor: Tensor, device: Any) -> Tensor:
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
