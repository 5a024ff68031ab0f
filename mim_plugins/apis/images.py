"""Images of any kind and size as one batch."""

from typing import Any

import torch
from torch import Tensor

from ..evaluation.labeled_loader import central_crop
from .image_pipeline import ImagePipeline
from .pixels import Images


def read_images(images: Images, short_edge: int, crop: tuple[int, int]) -> Tensor:
    """Read images, resize their short edge and cut their center out.

    As the evaluation pipeline of the recipes does: bicubic, antialiased, on bytes.

    Args:
        images: see :data:`Images`; sizes may differ.
        short_edge: pixels of the short edge after resizing.
        crop: (H, W) in pixels; neither is above ``short_edge``.

    Returns:
        RGB bytes (B, 3, H, W).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no image, an unreadable one, or numbers of another kind or range.
    """
    pipeline = ImagePipeline(central_crop(crop, short_edge), name="read_images")
    return torch.stack([sample["inputs"].flip(0) for sample in pipeline(images)])


def normalize(images: Tensor, preprocessor: Any, device: torch.device) -> Tensor:
    """Bytes (B, C, H, W), RGB if C is 3, as the model reads them with its data preprocessor.

    Images go into the network in RGB, unless the preprocessor is one of mmpretrain's with
    ``to_rgb=False``, which leaves OpenMMLab's BGR.
    """
    pixels = images.to(device).float()
    if not getattr(preprocessor, "to_rgb", True) and pixels.shape[1] == 3:
        pixels = pixels.flip(1)
    if getattr(preprocessor, "mean", None) is None:
        return pixels
    return (pixels - preprocessor.mean.to(device)) / preprocessor.std.to(device)
