"""Tensors as colours: images as they look, and maps of numbers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

COLOUR_MAP = "viridis"
_MISSING = 127  # grey


def natural_colours(images: Tensor, preprocessor: Any) -> Tensor:
    """Normalised images (B, C, H, W) as people see them: RGB bytes (B, 3, H, W), 0 ... 255.

    Images of one channel are grey. ``preprocessor`` is the model's data preprocessor; one without
    ``mean`` and ``std`` does not normalise, so that values are those of the image files.

    Raises:
        ValueError: neither 1 nor 3 channels.
    """
    if images.shape[1] not in (1, 3):
        raise ValueError(
            f"images of {images.shape[1]} channels cannot be drawn, only those of 1 or 3: leave"
            " ReconstructionHook out"
        )
    if hasattr(preprocessor, "mean") and hasattr(preprocessor, "std"):
        images = images.float() * preprocessor.std + preprocessor.mean
    colors = images.nan_to_num(_MISSING).round().clamp(0, 255).to(torch.uint8)
    return colors.expand(-1, 3, -1, -1)


def heat_map(values: Tensor, low: float, high: float, size: tuple[int, int]) -> Tensor:
    """Values (B, h, w) as colours: RGB bytes (B, 3, H, W) of ``size`` (H, W), one per cell.

    ``low`` and all below is the darkest colour, ``high`` and all above the brightest; NaN is grey.
    """
    from matplotlib import colormaps

    table = torch.tensor(colormaps[COLOUR_MAP](range(256))[:, :3] * 255).round().to(torch.uint8)
    shares = ((values.float().cpu() - low) / (high - low)).clamp(0, 1)
    colours = table[(shares.nan_to_num() * 255).round().long()].permute(0, 3, 1, 2)
    colours = torch.where(shares.isnan()[:, None], _MISSING, colours)
    return F.interpolate(colours.float(), size, mode="nearest").to(torch.uint8)
