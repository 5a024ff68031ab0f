"""Rules of CUDA's autocast for tensors on the device ``meta``, which stands for a GPU.

The rules are those of PyTorch's ``autocast_mode.h``. They apply to functions called from Python.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_LOWER = {"__matmul__", "__rmatmul__", "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm",
          "chain_matmul", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d",
          "conv_transpose2d", "conv_transpose3d", "einsum", "linear", "matmul", "mm", "mv",
          "prelu", "multi_head_attention_forward"}  # fmt: skip
_FLOAT32 = {"__pow__", "__rpow__", "acos", "asin", "binary_cross_entropy_with_logits", "cdist",
            "cosh", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "dist",
            "erfinv", "exp", "expm1", "group_norm", "huber_loss", "interpolate", "kl_div",
            "l1_loss", "layer_norm", "log", "log10", "log1p", "log2", "logsumexp", "mse_loss",
            "nll_loss", "norm", "normalize", "pow", "reciprocal", "renorm", "rsqrt", "sinh",
            "smooth_l1_loss", "soft_margin_loss", "softplus", "tan"}  # fmt: skip
_FLOAT32_RESULT = {"cumprod", "cumsum", "log_softmax", "prod", "softmax", "sum"}
_WIDEST = {"addcdiv", "addcmul", "atan2", "bilinear", "cat", "cross", "dot", "grid_sample",
           "index_put", "scatter_add", "stack", "tensordot"}  # fmt: skip


class CudaAutocast(TorchFunctionMode):
    """Context manager that applies CUDA's autocast to tensors on ``meta``.

    Inside it, ``torch.autocast('meta', ...)`` works as ``torch.autocast('cuda', ...)``.

    Args:
        dtype: precision of matrix products; None disables autocast until the next
            ``torch.autocast``.
    """

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.dtype = dtype
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}

    def __enter__(self) -> "CudaAutocast":
        """Begin to cast."""
        pytorch = torch.autocast

        def autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
            own = device_type == "meta"
            return self.region(*args, **kwargs) if own else pytorch(device_type, *args, **kwargs)

        self._patch = patch.object(torch, "autocast", autocast)
        self._patch.start()
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        """Restore ``torch.autocast``."""
        super().__exit__(*exception)
        self._patch.stop()

    @contextmanager
    def region(
        self, dtype: torch.dtype | None = None, enabled: bool = True, **_: Any
    ) -> Iterator[None]:
        """Use another precision inside a context, as ``torch.autocast`` does."""
        before, self.dtype = self.dtype, (dtype or torch.float16) if enabled else None
        try:
            yield
        finally:
            self.dtype = before
            if before is None:
                self.forget_copies()

    def forget_copies(self) -> None:
        """Release the copies of parameters, as autocast does at the end of its outer context."""
        self._copies.clear()

    @contextmanager
    def separate_copies(self) -> Iterator[None]:
        """Neither use nor add copies of parameters inside a context, such as that of a graph."""
        before, self._copies = self._copies, {}
        try:
            yield
        finally:
            self._copies = before

    def lower(self, tensor: Tensor) -> Tensor:
        """Cast a tensor to the precision of matrix products; parameters are cast once."""
        if self.dtype is None or not _is_castable(tensor) or tensor.dtype == self.dtype:
            return tensor
        if not (tensor.is_leaf and tensor.requires_grad and tensor.dtype == torch.float32):
            return tensor.to(self.dtype)
        if id(tensor) not in self._copies:
            self._copies[id(tensor)] = (tensor, tensor.to(self.dtype))
        return self._copies[id(tensor)][1]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Cast the arguments of a function and call it."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.dtype is None:
            return func(*args, **kwargs)
        if name in _LOWER:
            args, kwargs = tree_map(_on_tensors(self.lower), (args, kwargs))
        elif name in _FLOAT32:
            args, kwargs = tree_map(_on_tensors(_float32), (args, kwargs))
        elif name in _FLOAT32_RESULT and args and _is_castable(args[0]):
            if kwargs.get("dtype") is None and args[0].dtype != torch.float32:
                kwargs = kwargs | dict(dtype=torch.float32)
        elif name in _WIDEST:
            tensors = args[0] if isinstance(args[0], (list, tuple)) else args
            if any(isinstance(t, Tensor) and t.dtype == torch.float32 for t in tensors):
                args, kwargs = tree_map(_on_tensors(_float32), (args, kwargs))
        return func(*args, **kwargs)


def _is_castable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta and value.dtype in (
        torch.float32, torch.float16, torch.bfloat16
    )  # fmt: skip


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if _is_castable(tensor) else tensor


def _on_tensors(cast: Any) -> Any:
    return lambda value: cast(value) if isinstance(value, Tensor) else value
