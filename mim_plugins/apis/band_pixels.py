"""Conversion of images in memory to several bands."""

import numpy as np
from PIL import Image

from ..transforms import Bands
from ..transforms.band_files import RawBands
from ..transforms.orientation import image_orientation, turn_upright

_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "I", "I;16", "I;16L", "I;16B", "F")


def to_bands(
    image: Image.Image | np.ndarray, name: str, bands: Bands, channels_last: bool = False
) -> np.ndarray:
    """Convert an image in memory as :meth:`Bands.decode` converts a file; numbers do not change.

    Args:
        image: PIL image whose numbers are intensities, upright by its EXIF orientation, or array
            (H, W), (H, W, C) or (C, H, W).
        name: name of the image in messages.
        bands: how files are read.
        channels_last: the array is not (C, H, W).

    Raises:
        CorruptImageError: see :meth:`Bands.decode`.
        ValueError: the PIL image has another mode.
    """
    axis = 2 if channels_last else None
    if isinstance(image, Image.Image):
        if image.mode not in _MODES:
            raise ValueError(
                f"{name}: a PIL image of mode {image.mode} has no bands; convert it to one of"
                f" {', '.join(_MODES[:7])}"
            )
        orientation = image_orientation(image)
        image, axis = turn_upright(np.asarray(image), orientation), 2
    return bands.complete(bands.arrange(RawBands(image, axis, None), name), name)
