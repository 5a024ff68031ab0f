"""Batches of images of any kind and size."""

from typing import Any

import torch
from torch import Tensor

from ..transforms.center_crop import center_crop
from .image_pipeline import ImagePipeline
from .pixels import Images


def read_images(images: Images, short_edge: int, crop: tuple[int, int]) -> Tensor:
    """Read images, resize their short edge and crop their center.

    Resizing is bicubic and antialiased on 8-bit pixels, as in the recipes' evaluation pipeline.

    Args:
        images: see :data:`Images`; sizes may differ.
        short_edge: pixels of the short edge after resizing.
        crop: (H, W) in pixels, both at most ``short_edge``.

    Returns:
        RGB bytes (B, 3, H, W).

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: there is no image, an image cannot be read, or its numbers have another type or
            range.
    """
    pipeline = ImagePipeline(center_crop(crop, short_edge), name="read_images")
    return torch.stack([sample["inputs"].flip(0) for sample in pipeline(images)])


def normalize(images: Tensor, preprocessor: Any, device: torch.device) -> Tensor:
    """Normalize 8-bit images (B, C, H, W), RGB if C is 3, as the model's data preprocessor does.

    The result is RGB, or BGR for mmpretrain's preprocessors with ``to_rgb=False``.
    """
    pixels = images.to(device).float()
    if not getattr(preprocessor, "to_rgb", True) and pixels.shape[1] == 3:
        pixels = pixels.flip(1)
    if getattr(preprocessor, "mean", None) is None:
        return pixels
    return (pixels - preprocessor.mean.to(device)) / preprocessor.std.to(device)
