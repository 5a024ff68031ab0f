"""Patches of images: extraction, statistics, embedding and merging."""

import torch.nn.functional as F
from torch import Tensor, nn

# keeps the division finite on patches of a single color; the value of MAE and MixMAE
_VARIANCE_EPS = 1e-6


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Split images (B, C, H, W) into patches (B, L, patch_size**2 * C), channels last."""
    batch, channels, height, width = images.shape
    rows, cols = height // patch_size, width // patch_size
    x = images.reshape(batch, channels, rows, patch_size, cols, patch_size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * cols, -1)


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """Reassemble patches (B, L, P) on ``grid`` (h, w) into images (B, C, H, W)."""
    batch = patches.shape[0]
    x = patches.reshape(batch, *grid, patch_size, patch_size, -1)
    x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, rows, p, cols, p)
    return x.reshape(batch, -1, grid[0] * patch_size, grid[1] * patch_size)


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each patch, (B, L, 1) each."""
    mean = patches.mean(dim=-1, keepdim=True)
    variance = patches.var(dim=-1, keepdim=True)  # unbiased, as in MAE
    return mean, (variance + _VARIANCE_EPS).sqrt()


class PatchEmbed(nn.Module):
    """Linear projection of non-overlapping patches to tokens, with a LayerNorm.

    Because patches do not overlap, mixing two images patch by patch is equivalent to mixing their
    tokens.

    Args:
        in_channels: channels of the image or feature map.
        dim: channels of the tokens.
        patch_size: pixels per patch side.
    """

    def __init__(self, in_channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, dim, patch_size, patch_size)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Embed maps (B, C, H, W), zero-padded to full patches, as tokens (B, H', W', dim)."""
        height, width = x.shape[-2:]
        rows, cols = -height % self.patch_size, -width % self.patch_size
        if rows or cols:  # padding by nothing is a copy
            x = F.pad(x, (0, cols, 0, rows))
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    """Patch merging of Swin (arXiv 2103.14030, section 3.1).

    The four tokens of each 2x2 block are concatenated and projected. Their order is that of timm:
    top left, bottom left, top right, bottom right.

    Args:
        in_dim: channels of the input.
        out_dim: channels of the output.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_dim)
        self.reduction = nn.Linear(4 * in_dim, out_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Merge tokens (B, H, W, C), zero-padded to even sides, to (B, H', W', out_dim)."""
        batch, height, width, channels = x.shape
        if height % 2 or width % 2:
            x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.reshape(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))
