"""Attention with a learned bias in groups of tokens, on the fastest kernel.

Letters: B images, M masks (1 when the batch shares one, else B), L tokens of an image, K groups of
n tokens, H heads, d channels per head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .attention_op import biased_attention
from .kernel_choice import uses_kernels
from .transformer import attend


def attend_in_groups(
    qkv: Tensor,
    biases: Sequence[Tensor],
    counts: Sequence[int],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute softmax(query @ key.T / sqrt(d) + bias) @ value in each group of tokens.

    On GPUs, Triton kernels sum the gradient of the bias over the images. PyTorch's attention, which
    is used elsewhere, would store one gradient per image. Under autocast, ``qkv`` is cast as for
    PyTorch's attention, and the bias is not.

    Args:
        qkv: queries, keys and values of tokens sorted by group (B, L, 3, H, d).
        biases: floats added to the scores of each block of groups of equal size, (M, K, H, n, n),
            or (M, 1, H, n, n) for all its groups.
        counts: number of groups K of each block.
        attn_mask: floats added to the scores of all heads of a single block (M, K, n, n).
        dropout_p: dropout rate of the attention weights.

    Returns:
        Attended values (B, L, H, d).
    """
    device = qkv.device.type
    if device == "cuda" and torch.is_autocast_enabled(device):
        qkv = qkv.to(torch.get_autocast_dtype(device))
    if dropout_p > 0 or not uses_kernels(qkv, biases, attn_mask):
        return attend_with_pytorch(qkv, biases, counts, attn_mask, dropout_p)
    mask = None if attn_mask is None else attn_mask.flatten(0, 1)
    return biased_attention(qkv, [bias.flatten(0, 1) for bias in biases], counts, mask)[0]


def attend_with_pytorch(
    qkv: Tensor,
    biases: Sequence[Tensor],
    counts: Sequence[int],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute :func:`attend_in_groups` by PyTorch's kernels, or by :func:`attend`'s on the CPU."""
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
