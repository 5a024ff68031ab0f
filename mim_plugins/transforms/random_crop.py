"""Random boxes for crops of varying area and shape."""

import math

import numpy as np

from .jpeg_region import Box

MAX_ATTEMPTS = 10


def sample_crop_box(
    height: int,
    width: int,
    area_range: tuple[float, float],
    aspect_ratio_range: tuple[float, float],
) -> Box:
    """Sample a box within an image, uniform in area and in the logarithm of the aspect ratio.

    A box that does not fit is drawn again, ten times at most; then it is the largest central one
    with an aspect ratio in the range. The draws from NumPy's random state, and so the boxes, are
    those of mmpretrain's ``RandomResizedCrop``.

    Args:
        height: of the image.
        width: of the image.
        area_range: lowest and highest area, as a share of the image's.
        aspect_ratio_range: lowest and highest width / height.
    """
    low, high = aspect_ratio_range
    for _ in range(MAX_ATTEMPTS):
        area = np.random.uniform(*area_range) * (height * width)
        ratio = math.exp(np.random.uniform(math.log(low), math.log(high)))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top = int(np.random.randint(0, height - crop_height + 1))
            left = int(np.random.randint(0, width - crop_width + 1))
            return Box(top, left, crop_height, crop_width)
    # at least one pixel of an image that is very narrow
    crop_height = min(height, max(1, round(width / low)))
    crop_width = min(width, max(1, round(height * high)))
    return Box((height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width)
