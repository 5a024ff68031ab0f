"""Attention with a learned bias in groups of tokens, on the fastest kernel.

Letters: B images, M masks (1 when the batch shares one, else B), L tokens of an image, K groups of
n tokens, H heads, d channels per head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .attention_op import biased_attention
from .kernel_choice import uses_kernels
from .pytorch_attention import attend_with_pytorch


def attend_in_groups(
    qkv: Tensor,
    biases: Sequence[Tensor],
    counts: Sequence[int],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute softmax(query @ key.T / sqrt(d) + bias) @ value in each group of tokens.

    On GPUs, Triton kernels sum the gradient of the bias over the images, if they are faster for the
    sizes of the groups. PyTorch's attention, which is used elsewhere, stores one gradient per
    image. Under autocast, ``qkv`` is cast as for PyTorch's attention, and the bias is not.

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
    mask = None if attn_mask is None else attn_mask.expand(-1, counts[0], -1, -1).flatten(0, 1)
    return biased_attention(qkv, [bias.flatten(0, 1) for bias in biases], counts, mask)[0]
