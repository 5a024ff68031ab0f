"""Patches: cutting images into them, embedding and merging them."""

import torch.nn.functional as F
from torch import Tensor, nn

# Keeps the division finite on patches of one color; the value of MAE and MixMAE.
_VARIANCE_EPS = 1e-6


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Images (B, C, H, W) to patches (B, L, patch_size**2 * C), pixel by pixel, channels last."""
    batch, channels, height, width = images.shape
    rows, cols = height // patch_size, width // patch_size
    x = images.reshape(batch, channels, rows, patch_size, cols, patch_size)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * cols, -1)


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """Inverse of :func:`patchify`: patches (B, L, P) on ``grid`` to images (B, C, H, W)."""
    batch = patches.shape[0]
    x = patches.reshape(batch, *grid, patch_size, patch_size, -1)
    x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, rows, p, cols, p)
    return x.reshape(batch, -1, grid[0] * patch_size, grid[1] * patch_size)


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch: two tensors (B, L, 1)."""
    mean = patches.mean(dim=-1, keepdim=True)
    variance = patches.var(dim=-1, keepdim=True)  # unbiased, as in MAE
    return mean, (variance + _VARIANCE_EPS).sqrt()


class PatchEmbed(nn.Module):
    """Project patches of ``patch_size`` pixels to tokens and normalize them.

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


class PatchMerging(nn.Module):
    """Concatenate each 2x2 block of tokens and project it (Swin, arXiv 2103.14030, section 3.1).

    The order of the four tokens is timm's: top left, bottom left, top right, bottom right.

    Args:
        in_dim: channels of the input.
        out_dim: channels of the output.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_dim)
        self.reduction = nn.Linear(4 * in_dim, out_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, H, W, C) to (B, ceil(H / 2), ceil(W / 2), out_dim); odd sides are padded."""
        batch, height, width, channels = x.shape
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.reshape(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))
