"""Random choice of the visible tokens of a masked autoencoder (MAE, arXiv 2111.06377, section 3).

Letters: B images, L tokens, V visible tokens. Mask polarity: True = masked.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class TokenMask(NamedTuple):
    """Visible and masked tokens of each image."""

    ids_keep: Tensor
    """Indices of the visible tokens (B, V), in the order in which they are encoded."""
    ids_restore: Tensor
    """Position of each token in the sequence of visible tokens followed by masked ones (B, L)."""
    mask: Tensor
    """Bool (B, L), True = masked."""


def random_scores(batch: int, tokens: int, device: torch.device | None = None) -> Tensor:
    """Sample scores (B, L) that make every token equally likely to be visible."""
    return torch.rand(batch, tokens, device=device)


def attention_scores(attention: Tensor, temperature: float = 1.0) -> Tensor:
    """Sample scores (B, L) that make tokens with high attention more likely to be visible.

    Selecting the lowest scores samples tokens without replacement, with probabilities proportional
    to ``attention ** (1 / temperature)`` (the Gumbel top-k trick, arXiv 1903.06059).

    Args:
        attention: non-negative [CLS] attention of the teacher (B, L).
        temperature: a number above 0. Near 0, the most attended tokens are always visible; for
            large values, the choice is nearly uniform.
    """
    uniform = torch.rand_like(attention).clamp_(1e-9, 1 - 1e-7)
    gumbel = -torch.log(-torch.log(uniform))
    return -(attention.clamp_min(1e-12).log() / temperature + gumbel)


def mask_from_scores(scores: Tensor, mask_ratio: float) -> TokenMask:
    """Make the ``int(L * (1 - mask_ratio))`` tokens with the lowest scores (B, L) visible."""
    visible = count_visible(scores.shape[1], mask_ratio)
    ids_shuffle = scores.argsort(dim=1)
    ids_keep = ids_shuffle[:, :visible]
    mask = torch.ones_like(scores, dtype=torch.bool).scatter_(1, ids_keep, False)
    return TokenMask(ids_keep, ids_shuffle.argsort(dim=1), mask)


def count_visible(tokens: int, mask_ratio: float) -> int:
    """Return the number of visible tokens among ``tokens``.

    Raises:
        ValueError: at this ratio, no token is visible or no token is masked.
    """
    visible = int(tokens * (1 - mask_ratio))  # rounded down, as in MAE
    if not 0 < visible < tokens:
        raise ValueError(
            f"mask_ratio={mask_ratio} leaves {visible} of {tokens} tokens visible; at least one"
            " token must be visible and one masked; change mask_ratio or the image size"
        )
    return visible


def gather_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Gather the tokens (B, L, D) at ``indices`` (B, V): (B, V, D)."""
    return tokens.gather(1, indices[..., None].expand(-1, -1, tokens.shape[-1]))
