"""Check of the map from which a neck computes a coarser level."""

from torch import Tensor


def check_last_level(name: str, level: Tensor, side: int) -> None:
    """Check the size of the last level (B, C, H, W).

    Raises:
        ValueError: a side is below ``side``.
    """
    height, width = level.shape[-2:]
    if min(height, width) < side:
        raise ValueError(
            f"{name}: the last level has {height}x{width} cells, but must have at least"
            f" {side}x{side}; use larger images"
        )
