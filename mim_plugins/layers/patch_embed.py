"""Non-overlapping patch embedding."""

import torch.nn.functional as F
from torch import Tensor, nn


class PatchEmbed(nn.Module):
    """Project patches of ``patch_size`` pixels to tokens and normalise them.

    Patches do not overlap, so mixing two images patch by patch and mixing their tokens is the same.

    Args:
        in_channels: channels of the image or map.
        dim: channels of the tokens.
        patch_size: pixels per patch side.
    """

    def __init__(self, in_channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, dim, patch_size, patch_size)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to tokens (B, ceil(H / p), ceil(W / p), dim); the rest is zeros."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.patch_size, 0, -height % self.patch_size))
        return self.norm(self.proj(x).permute(0, 2, 3, 1))
