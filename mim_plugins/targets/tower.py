"""Interface between a target generator and the image tower of a library."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Tower(nn.Module):
    """Image tower with a token grid, cut down to the blocks that the features need.

    Attributes:
        patch_size: side of a token in pixels.
        grid: (h, w), the tokens that the position embedding covers; the native grid at first.
        out_channels: D, channels of the features.
        has_cls_attention: True if the tower can return the attention of its [CLS] token.
    """

    patch_size: int
    grid: tuple[int, int]
    out_channels: int
    has_cls_attention: bool

    def forward(self, images: Tensor, with_attention: bool) -> tuple[Tensor, Tensor | None]:
        """Return features (B, L, D) and [CLS] attention (B, L) of normalized images.

        Images are (B, 3, h * patch_size, w * patch_size), RGB in [0, 1] after (x - mean) / std.
        Tokens are in row-major order. Attention is that of the last block that the features need,
        or None without ``with_attention``.
        """
        raise NotImplementedError

    def resize(self, grid: tuple[int, int]) -> None:
        """Resize position embeddings to ``grid`` by replacing parameters, not editing them."""
        raise NotImplementedError

    def blocks(self) -> Iterable[nn.Module]:
        """Return the equal parts of which the tower consists, each of which can be compiled."""
        return ()


def resolve_block_index(
    features: int | str, depth: int, feature_names: tuple[str, ...], parts: str = "blocks"
) -> int:
    """Return the index, from 0, of the last block that ``features`` needs.

    ``features`` is the index of a block or one of ``feature_names``; ``parts`` is what the error
    calls the blocks.

    Raises:
        ValueError: there is no such block or name.
    """
    if isinstance(features, int) and not isinstance(features, bool):
        if -depth <= features < depth:
            return features % depth
    elif features in feature_names:
        return depth - 1
    raise ValueError(
        f"features={features!r}: this teacher offers {', '.join(map(repr, feature_names))} or the"
        f" index of one of its {depth} {parts}, from {-depth} to {depth - 1}"
    )


def output_channels(module: nn.Module, in_channels: int) -> int:
    """Return the number of output channels of ``module`` for ``in_channels``."""
    with torch.no_grad():
        return module(torch.zeros(1, in_channels)).shape[-1]
