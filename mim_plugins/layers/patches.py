"""Images cut into square patches, the targets of pixel reconstruction."""

from torch import Tensor

# Keeps the division finite on patches of one colour; the value of MAE and MixMAE.
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
