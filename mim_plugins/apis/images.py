"""Batches of images of any kind and size."""

from typing import Any

import torch
from torch import Tensor

from ..transforms.center_crop import center_crop
from .image_pipeline import ImagePipeline
from .pixels import Images


def read_images(images: Images, resize: int | tuple[int, int], crop: tuple[int, int]) -> Tensor:
    """Read images, resize them and crop their center.

    Resizing is bicubic and antialiased on 8-bit pixels, as in the recipes' evaluation pipeline.

    Args:
        images: see :data:`Images`; sizes may differ.
        resize: pixels of the short edge after resizing, or (H, W) to cover, see
            :class:`ResizeEdge`.
        crop: (H, W) in pixels, at most those of ``resize``.

    Returns:
        RGB bytes (B, 3, H, W).

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: there is no image, an image cannot be read, or its numbers have another type or
            range.
    """
    pipeline = ImagePipeline(center_crop(crop, resize), name="read_images")
    return torch.stack([sample["inputs"].flip(0) for sample in pipeline(images)])


def normalize(images: Tensor, preprocessor: Any, to_bgr: bool = False) -> Tensor:
    """Normalize images (B, C, H, W), RGB if C is 3, with mean and std of a data preprocessor.

    Args:
        images: pixels from 0 to 255, or the numbers of bands.
        preprocessor: the model's data preprocessor.
        to_bgr: reverse three channels, for models that read BGR, see :func:`reads_rgb`.
    """
    pixels = images.float()
    if to_bgr and pixels.shape[1] == 3:
        pixels = pixels.flip(1)
    if getattr(preprocessor, "mean", None) is None:
        return pixels
    return (pixels - preprocessor.mean.to(pixels.device)) / preprocessor.std.to(pixels.device)
