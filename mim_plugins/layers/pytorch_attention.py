"""Attention with a learned bias in groups of tokens, by PyTorch's kernels.

Letters: B images, M masks (1 when the batch shares one, else B), L tokens of an image, K groups of
n tokens, H heads, d channels per head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .transformer import attend


def attend_with_pytorch(
    qkv: Tensor,
    biases: Sequence[Tensor],
    counts: Sequence[int],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute ``attend_in_groups`` by PyTorch's kernels, or by :func:`attend`'s on the CPU.

    ``qkv`` is (B, L, 3, H, d). Each block of ``counts`` groups has a bias (M, K or 1, H, n, n), and
    a single block may have a mask (M, K, n, n). Return attended values (B, L, H, d).
    """
    sizes = [bias.shape[-1] for bias in biases]
    lengths = [count * size for count, size in zip(counts, sizes, strict=True)]
    parts = []
    for part, bias, count in zip(qkv.split(lengths, dim=1), biases, counts, strict=True):
        if attn_mask is not None:
            bias = bias + attn_mask[:, :, None]
        parts.append(_attend(part.unflatten(1, (count, bias.shape[-1])), bias, dropout_p))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _attend(qkv: Tensor, bias: Tensor, dropout_p: float) -> Tensor:
    """Attend in K groups of tokens (B, K, n, 3, H, d); return (B, K * n, H, d)."""
    batch, groups, tokens, _, heads, channels = qkv.shape
    # groups and heads share an axis, so one bias serves all images without a copy
    qkv = qkv.permute(3, 0, 1, 4, 2, 5).reshape(3, batch, -1, tokens, channels)
    bias = bias.expand(-1, groups, -1, -1, -1).flatten(1, 2).to(qkv.dtype)
    x = attend(qkv, bias, dropout_p)
    return x.unflatten(1, (groups, heads)).transpose(2, 3).flatten(1, 2)
