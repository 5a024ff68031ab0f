"""What a target generator needs of a library's image tower."""

import torch
from torch import Tensor, nn


class Tower(nn.Module):
    """An image tower with a token grid, of which only the blocks needed are kept.

    Attributes:
        patch_size: pixels per token side.
        grid: (h, w) that the position embedding is made for.
        out_channels: D, channels of the features.
        has_cls_attention: whether attention can be asked for.
    """

    patch_size: int
    grid: tuple[int, int]
    out_channels: int
    has_cls_attention: bool

    def forward(self, images: Tensor, with_attention: bool) -> tuple[Tensor, Tensor | None]:
        """Normalised images (B, 3, h * patch, w * patch) to features (B, L, D), attention (B, L).

        Attention is that of the last block run, None unless asked for.
        """
        raise NotImplementedError

    def resize(self, grid: tuple[int, int]) -> None:
        """Make position embeddings for another ``grid``, replacing parameters, not editing them."""
        raise NotImplementedError


def resolve_block_index(features: int | str, depth: int, words: tuple[str, ...]) -> int:
    """Index from 0 of the last block to run for ``features``, an index or one of ``words``.

    Raises:
        ValueError: no such block or word.
    """
    if isinstance(features, int) and not isinstance(features, bool):
        if -depth <= features < depth:
            return features % depth
    elif features in words:
        return depth - 1
    raise ValueError(
        f"features={features!r}: this teacher offers {', '.join(map(repr, words))} or the index"
        f" of one of its {depth} blocks, from {-depth} to {depth - 1}"
    )


def output_channels(module: nn.Module, in_channels: int) -> int:
    """Channels that ``module`` makes of ``in_channels``."""
    with torch.no_grad():
        return module(torch.zeros(1, in_channels)).shape[-1]
