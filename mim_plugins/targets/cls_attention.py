"""Attention of the [CLS] token to each patch, read from the attention of a library."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_SDPA_PARAMETERS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


class SDPARecorder(TorchFunctionMode):
    """Context manager that records the last call of PyTorch's fused attention inside it.

    The record contains the queries and keys of the library, after biases, norms and rotary
    embeddings, and its mask and scale, so nothing of the library is reimplemented here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._call: dict[str, Any] = {}

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run ``func`` and record its arguments if it is the fused attention."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self._call = dict(zip(_SDPA_PARAMETERS, args, strict=False)) | kwargs
        return func(*args, **kwargs)

    def cls_attention_weights(self) -> Tensor:
        """Return the attention of token 0 to all N tokens, averaged over heads (B, N), float32."""
        query, key = self._call["query"], self._call["key"]  # (B, heads, N, d)
        mask, scale = self._call.get("attn_mask"), self._call.get("scale")
        with torch.autocast(query.device.type, enabled=False):
            scores = query[:, :, :1].float() @ key.float().transpose(-2, -1)
            scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
        if mask is not None:
            row = mask[..., :1, :]  # the same for every query if N = 1 there
            scores = (
                scores.masked_fill(~row, float("-inf")) if row.dtype == torch.bool else scores + row
            )
        return scores.softmax(dim=-1).mean(dim=1)[:, 0]


def cls_attention_weights(attention: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """Return the attention of token 0 to ``tokens`` (B, N, C), averaged over heads (B, N)."""
    # one query is enough, so the N x N weights of the other tokens are never computed
    return attention(tokens[:, :1], tokens, tokens, need_weights=True)[1][:, 0].float()


def patch_attention(weights: Tensor, num_prefix_tokens: int) -> Tensor:
    """Drop [CLS] and register columns from attention (B, N) and rescale it to sum 1 (B, L)."""
    patches = weights[:, num_prefix_tokens:]
    return patches / patches.sum(dim=1, keepdim=True)
