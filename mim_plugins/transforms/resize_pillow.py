"""Resizing by Pillow, for any number of bands."""

import numpy as np
from PIL import Image


def resize_pillow(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    """Resize (h, w) or (h, w, C), uint8 or float32, to ``size`` (H, W), antialiased.

    Bands are resized one by one unless they are 8-bit colors; the result is the same.

    Args:
        image: the pixels.
        size: (H, W) of the result.
        interpolation: a name of Pillow's ``Resampling`` in any case, such as ``'bicubic'``.
        box: (left, top, right, bottom) of the part to resize; None for all.
    """
    if image.ndim == 3 and (image.shape[2] != 3 or image.dtype != np.uint8):
        bands = [
            resize_pillow(image[..., band], size, interpolation, box)
            for band in range(image.shape[2])
        ]
        return np.stack(bands, axis=2)
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.array(picture.resize(size[::-1], Image.Resampling[interpolation.upper()], box))
