"""Conversion of normalized images and of maps of numbers to colors."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

COLOR_MAP = "viridis"
_COLORS = 3
_MISSING = 127  # gray
_SHOWN_DEVIATIONS = 2.5  # from the mean to black and to white


def to_rgb_uint8(images: Tensor, preprocessor: Any, is_bgr: bool = False) -> Tensor:
    """Return normalized images (B, C, H, W) as RGB bytes (B, 3, H, W), clipped to 0 ... 255.

    With ``shown_bands`` of :class:`MixDataPreprocessor`, these channels are shown, each in the
    range around its mean. Without them, the numbers are those of 8-bit files.
    Images of one or two channels are shown as their first one in gray, those of more than three
    channels as their first three.

    Args:
        images: normalized images.
        preprocessor: the model's data preprocessor; one without ``mean`` and ``std`` does not
            normalize, so values are those of the image files.
        is_bgr: three channels are BGR, see :func:`reads_rgb`.
    """
    bands = getattr(preprocessor, "shown_bands", None)
    if bands is not None:
        shown = images[:, list(bands)].float().expand(-1, 3, -1, -1)
        return _to_bytes((shown / _SHOWN_DEVIATIONS + 1) * 127.5)
    if hasattr(preprocessor, "mean") and hasattr(preprocessor, "std"):
        images = images.float() * preprocessor.std + preprocessor.mean
    if is_bgr and images.shape[1] == _COLORS:
        images = images.flip(1)
    shown = images[:, :1].expand(-1, 3, -1, -1) if images.shape[1] < 3 else images[:, :3]
    return _to_bytes(shown)


def _to_bytes(images: Tensor) -> Tensor:
    return images.nan_to_num(_MISSING).round().clamp(0, 255).to(torch.uint8)


def apply_colormap(values: Tensor, low: float, high: float, size: tuple[int, int]) -> Tensor:
    """Return values (B, h, w) as RGB bytes (B, 3, H, W) of ``size`` (H, W), one color per cell.

    Values of at most ``low`` get the darkest color, values of at least ``high`` the brightest. NaN
    is gray.
    """
    from matplotlib import colormaps

    table = torch.tensor(colormaps[COLOR_MAP](range(256))[:, :3] * 255).round().to(torch.uint8)
    shares = ((values.float().cpu() - low) / (high - low)).clamp(0, 1)
    colors = table[(shares.nan_to_num() * 255).round().long()].permute(0, 3, 1, 2)
    colors = torch.where(shares.isnan()[:, None], _MISSING, colors)
    return F.interpolate(colors.float(), size, mode="nearest").to(torch.uint8)
