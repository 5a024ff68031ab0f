"""Kernel that PyTorch's scaled dot product attention would choose on a GPU, without a GPU.

The rules are those of ``sdp_utils.cpp`` and ``sdp_utils_cpp.h`` of PyTorch 2.11. On Hopper, the
default order begins with cuDNN's kernel if the cuDNN version is above 9.15.
"""

from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.backends import cuda as enabled
from torch.nn.attention import SDPBackend
from torch.overrides import TorchFunctionMode

from .cuda_autocast import CudaAutocast

_HALF = (torch.float16, torch.bfloat16)
_BIAS_ALIGNMENT = 16
_CUDNN_CAPABILITIES = (9, 10)


def choose_backend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    capability: int = 9,
) -> tuple[SDPBackend, str]:
    """Return the kernel for these inputs, and the reason if it is PyTorch's math path.

    Args:
        query: (B, heads, Nq, d); all tensors are on a GPU.
        key: (B, heads, Nk, d).
        value: (B, heads, Nk, d).
        mask: bias or permissions that broadcast to (B, heads, Nq, Nk).
        dropout_p: dropout rate of the attention weights.
        capability: major compute capability of the GPU, 8 or above.
    """
    cudnn = _cudnn_problem(query, key, value, mask, dropout_p)
    if capability in _CUDNN_CAPABILITIES and not cudnn:
        return SDPBackend.CUDNN_ATTENTION, ""
    if not _flash_problem(query, key, value, mask):
        return SDPBackend.FLASH_ATTENTION, ""
    efficient = _efficient_problem(query, key, value, mask)
    if not efficient:
        return SDPBackend.EFFICIENT_ATTENTION, ""
    return SDPBackend.MATH, efficient


def _shared_problem(*tensors: Tensor | None) -> str:
    if any(t is not None and t.dim() != 4 for t in tensors[:3]):
        return "queries, keys and values must have 4 dimensions"
    for name, tensor in zip(("query", "key", "value", "mask"), tensors, strict=True):
        if tensor is not None and tensor.stride(-1) != 1:
            return f"the last stride of the {name} is {tensor.stride(-1)}, not 1"
    return ""


def _flash_problem(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> str:
    if not enabled.flash_sdp_enabled():
        return "it is disabled"
    if mask is not None:
        return "it has no mask"
    if query.dtype not in _HALF:
        return f"dtype {query.dtype}"
    if query.shape[-1] > 256 or query.shape[-1] != value.shape[-1]:
        return "channels per head"
    return _shared_problem(query, key, value, mask)


def _efficient_problem(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> str:
    if not enabled.mem_efficient_sdp_enabled():
        return "the memory-efficient kernel is disabled"
    if query.dtype not in (*_HALF, torch.float32):
        return f"dtype {query.dtype}"
    alignment = 16 // query.element_size()
    for tensor in (query, value):
        if tensor.shape[-1] % alignment:
            return f"{tensor.shape[-1]} channels per head are no multiple of {alignment}"
    for name, tensor in dict(query=query, key=key, value=value).items():
        if tensor.storage_offset() % alignment:
            return f"the storage offset of the {name} is no multiple of {alignment}"
    return _shared_problem(query, key, value, mask)


def _cudnn_problem(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float
) -> str:
    if not enabled.cudnn_sdp_enabled():
        return "it is disabled"
    if query.dtype not in _HALF:
        return f"dtype {query.dtype}"
    if mask is not None and mask.requires_grad:
        return "it has no gradient of the mask"
    if torch.are_deterministic_algorithms_enabled() and not (
        torch.is_deterministic_algorithms_warn_only_enabled()
    ):
        return "it is not deterministic"
    if max(query.shape[-1], value.shape[-1]) > 128 or query.shape[-1] % 8 or key.shape[-2] == 1:
        return "sizes"
    if dropout_p * 16 % 1:
        return "dropout"
    return _shared_problem(query, key, value, mask)


class AttentionOfGpus(TorchFunctionMode):
    """Context manager that replaces scaled dot product attention by the kernel of a GPU.

    The device ``meta`` stands for the GPU. Tensors are cast, masks converted and padded as PyTorch
    does.

    Args:
        autocast: casts the inputs.
        capability: major compute capability of the GPU.

    Attributes:
        calls: kernel, reason for the math path, and shape of the queries of each call.
    """

    def __init__(self, autocast: CudaAutocast, capability: int = 9) -> None:
        super().__init__()
        self.autocast = autocast
        self.capability = capability
        self.calls: list[tuple[SDPBackend, str, tuple[int, ...]]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Redirect the attention of tensors on ``meta``."""
        if func is F.scaled_dot_product_attention and args[0].is_meta:
            return self._attend(*args, **(kwargs or {}))
        if func is F.multi_head_attention_forward:  # inside it, this mode is not active
            with patch.object(F, "scaled_dot_product_attention", self._attend):
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **_: Any,
    ) -> Tensor:
        query, key, value = (self.autocast.lower(t) for t in (query, key, value))
        if attn_mask is not None:
            attn_mask = self.autocast.lower(attn_mask)
        inputs = (query, key, value)
        backend, reason = choose_backend(*inputs, attn_mask, dropout_p, self.capability)
        self.calls.append((backend, reason, tuple(query.shape)))
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            forbidden = torch.zeros_like(attn_mask, dtype=query.dtype)
            attn_mask = forbidden.masked_fill_(attn_mask.logical_not(), float("-inf"))
        ops = torch.ops.aten
        needs_lse = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
        if backend == SDPBackend.MATH:
            return ops._scaled_dot_product_attention_math(
                *inputs, attn_mask, dropout_p, is_causal, scale=scale
            )[0]
        if backend == SDPBackend.FLASH_ATTENTION:
            padded = [F.pad(t, (0, -t.shape[-1] % 8)) if t.shape[-1] % 8 else t for t in inputs]
            scale = query.shape[-1] ** -0.5 if scale is None else scale
            output = ops._scaled_dot_product_flash_attention(
                *padded, dropout_p, is_causal, scale=scale
            )[0]
            return output[..., : value.shape[-1]]
        if attn_mask is not None:
            attn_mask = _aligned(attn_mask).expand(*query.shape[:3], key.shape[2])
        if backend == SDPBackend.CUDNN_ATTENTION:
            return ops._scaled_dot_product_cudnn_attention(
                *inputs, attn_mask, needs_lse, dropout_p, is_causal, scale=scale
            )[0]
        return ops._scaled_dot_product_efficient_attention(
            *inputs, attn_mask, needs_lse, dropout_p, is_causal, scale=scale
        )[0]


def _aligned(mask: Tensor) -> Tensor:
    """Pad the rows of a mask in memory if the memory-efficient kernel could not read them."""
    if all(stride % _BIAS_ALIGNMENT == 0 for stride in mask.stride()[:-1]):
        return mask
    return F.pad(mask, (0, -mask.shape[-1] % _BIAS_ALIGNMENT))[..., : mask.shape[-1]]
