"""Fixed 2-D sine-cosine position embeddings and the resizing of position embeddings."""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sincos_position_embedding(dim: int, grid: tuple[int, int]) -> Tensor:
    """Compute the sine-cosine embedding (1, H, W, D) of a grid (H, W) as in MAE (arXiv 2111.06377).

    The first half of the channels encodes the column, the second half the row. Each half consists
    of sines followed by cosines, with wavelengths from 2 pi to 20000 pi.

    Raises:
        ValueError: ``dim`` is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(
            f"dim={dim} must be a multiple of 4 for a 2-D sine-cosine position embedding"
        )
    frequencies = 10000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))

    def encode(length: int) -> Tensor:
        angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)  # (length, D / 2)

    rows, cols = encode(grid[0]), encode(grid[1])
    embedding = torch.cat(
        [
            cols[None, :].expand(grid[0], -1, -1),
            rows[:, None].expand(-1, grid[1], -1),
        ],
        dim=-1,
    )  # (H, W, D)
    return embedding[None].float()


def resize_position_embedding(embedding: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize an embedding (1, H, W, D) bicubically to ``grid`` (H, W), if it differs."""
    if tuple(embedding.shape[1:3]) == tuple(grid):
        return embedding
    channels_first = embedding.float().permute(0, 3, 1, 2)
    resized = F.interpolate(channels_first, size=grid, mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1).to(embedding.dtype)


def resize_on_load(name: str) -> Callable[..., None]:
    """Return a load-state-dict pre-hook that resizes the position embedding ``name``."""
    return functools.partial(_resize_on_load, name)  # a closure could not be pickled


def _resize_on_load(
    name: str, module: nn.Module, state_dict: dict, prefix: str, *_: object
) -> None:
    loaded, own = state_dict.get(prefix + name), getattr(module, name)
    if loaded is not None and loaded.ndim == 4 and loaded.shape[-1] == own.shape[-1]:
        state_dict[prefix + name] = resize_position_embedding(loaded, tuple(own.shape[1:3]))
