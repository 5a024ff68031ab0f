"""Which tokens a masked autoencoder sees (MAE, arXiv 2111.06377, section 3).

Letters: B images, L tokens, V visible tokens. Mask polarity: True = masked, hidden.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class TokenMask(NamedTuple):
    """The visible tokens of each image, in the order in which the encoder reads them."""

    ids_keep: Tensor
    """Indices of the visible tokens (B, V)."""
    ids_restore: Tensor
    """For each token (B, L), its place in the sequence of visible, then masked tokens."""
    mask: Tensor
    """Bool (B, L), True = masked."""


def random_scores(batch: int, tokens: int, device: torch.device | None = None) -> Tensor:
    """Random order in which every token is equally likely to be visible: (B, L)."""
    return torch.rand(batch, tokens, device=device)


def attention_scores(attention: Tensor, temperature: float = 1.0) -> Tensor:
    """Random order in which tokens of high attention tend to be visible: (B, L).

    Drawing the lowest scores draws tokens without replacement with probabilities proportional to
    ``attention ** (1 / temperature)`` (the Gumbel top-k trick, arXiv 1903.06059).

    Args:
        attention: teacher's [CLS] attention (B, L), at least 0.
        temperature: above 0; towards 0 the most attended tokens are always visible, towards
            infinity the choice is uniform.
    """
    uniform = torch.rand_like(attention).clamp_(1e-9, 1 - 1e-7)
    gumbel = -torch.log(-torch.log(uniform))
    return -(attention.clamp_min(1e-12).log() / temperature + gumbel)


def mask_from_scores(scores: Tensor, mask_ratio: float) -> TokenMask:
    """Show the ``int(L * (1 - mask_ratio))`` tokens of each image with the lowest scores (B, L)."""
    visible = count_visible(scores.shape[1], mask_ratio)
    ids_shuffle = scores.argsort(dim=1)
    ids_keep = ids_shuffle[:, :visible]
    mask = torch.ones_like(scores, dtype=torch.bool).scatter_(1, ids_keep, False)
    return TokenMask(ids_keep, ids_shuffle.argsort(dim=1), mask)


def count_visible(tokens: int, mask_ratio: float) -> int:
    """Number of visible tokens.

    Raises:
        ValueError: the ratio leaves no visible or no masked token.
    """
    visible = int(tokens * (1 - mask_ratio))  # rounded down, as in MAE
    if not 0 < visible < tokens:
        raise ValueError(
            f"mask_ratio={mask_ratio} leaves {visible} of {tokens} tokens visible; at least one"
            " token must be visible and one masked"
        )
    return visible


def gather_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Tokens (B, L, D) at ``indices`` (B, V): (B, V, D)."""
    return tokens.gather(1, indices[..., None].expand(-1, -1, tokens.shape[-1]))
