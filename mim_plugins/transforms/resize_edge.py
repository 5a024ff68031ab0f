"""Transform that resizes an image by one edge, and only the middle of very long images."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ..registry import TRANSFORMS
from .resize_pillow import resize_pillow

EDGES = ("short", "long", "width", "height")
BACKENDS = ("cv2", "pillow")
_CV2_OFFSETS = 256  # first pixels to choose among
_MAX_CV2_BANDS = 4  # OpenCV rounds more bands in another way, or refuses them


@TRANSFORMS.register_module()
class ResizeEdge:
    """Resize ``img`` until one edge has ``scale`` pixels, like mmpretrain's ``ResizeEdge``.

    The result has at most about ``max_ratio`` times ``scale`` pixels per edge. Only the middle of a
    longer image, such as one of 20000x1 pixels, is resized, which saves memory. A ``CenterCrop``
    after this transform yields the same pixels, up to rounding.

    Args:
        scale: pixels of the edge after resizing. With (H, W), the image is resized to the smallest
            size that covers these, as timm does before a center crop; two equal sides are one
            short edge.
        edge: ``'short'``, ``'long'``, ``'width'`` or ``'height'``; ``'short'`` with (H, W).
        backend: ``'cv2'`` or ``'pillow'``.
        interpolation: a mode of mmcv's ``imresize`` for the backend, such as ``'bicubic'``.
        max_ratio: length beyond which only the middle is kept, in multiples of ``scale``. Crops
            must not be longer.

    Raises:
        ValueError: another ``edge`` or ``backend``, ``scale`` or ``max_ratio`` below 1, or (H, W)
            with another edge than the short one.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        edge: str = "short",
        backend: str = "cv2",
        interpolation: str = "bilinear",
        max_ratio: float = 16,
    ) -> None:
        if edge not in EDGES:
            raise ValueError(f"ResizeEdge: edge={edge!r} must be one of {EDGES}")
        if backend not in BACKENDS:
            raise ValueError(f"ResizeEdge: backend={backend!r} must be one of {BACKENDS}")
        sides = (scale, scale) if isinstance(scale, int) else tuple(scale)
        if len(sides) != 2 or min(sides) < 1 or max_ratio < 1:
            raise ValueError(
                f"ResizeEdge: scale={scale} and max_ratio={max_ratio} must be at least 1, and scale"
                " one edge or (H, W)"
            )
        if edge != "short" and not isinstance(scale, int):
            raise ValueError(
                f"ResizeEdge: scale={scale} is (H, W), so edge={edge!r} must be 'short'"
            )
        self.scale = sides[0] if sides[0] == sides[1] else (sides[0], sides[1])
        self.edge = edge
        self.backend = backend
        self.interpolation = interpolation
        self.longest = max(*sides, math.ceil(max(sides) * max_ratio))

    def __call__(self, results: dict) -> dict:
        """Replace ``img`` (H, W) or (H, W, C) and ``img_shape``, add ``scale``, ``scale_factor``.

        ``scale_factor`` refers to the full image.
        """
        image = results["img"]
        height, width = image.shape[:2]
        size = resized_size(image.shape, self.scale, self.edge)
        resized = resize_middle(image, size, self.longest, self.backend, self.interpolation)
        return dict(
            results,
            img=resized,
            img_shape=resized.shape[:2],
            scale=(resized.shape[1], resized.shape[0]),
            scale_factor=(size[1] / width, size[0] / height),
        )


def resized_size(
    shape: tuple[int, ...], scale: int | tuple[int, int], edge: str
) -> tuple[int, int]:
    """Return (H, W) of an image of ``shape`` (H, W, ...) after resizing ``edge`` to ``scale``."""
    height, width = shape[:2]
    if not isinstance(scale, int):
        ratio = min(height / scale[0], width / scale[1])
        return round(height / ratio), round(width / ratio)  # timm's, also in rounding
    if edge in ("short", "long"):
        edge = "width" if (width < height) == (edge == "short") and width != height else "height"
    if edge == "width":
        return max(1, int(scale * height / width)), scale
    return scale, max(1, int(scale * width / height))


def resize_middle(
    image: np.ndarray, size: tuple[int, int], longest: int, backend: str, interpolation: str
) -> np.ndarray:
    """Resize (h, w) or (h, w, C) to ``size`` (H, W), but only the middle of edges over ``longest``.

    An even number of pixels is left out at either end because ``CenterCrop`` rounds to even ones.
    """
    from mmcv.image import imresize

    if backend == "cv2" and image.ndim == 3 and image.shape[2] > _MAX_CV2_BANDS:
        bands = np.moveaxis(image, 2, 0)
        resized = [resize_middle(band, size, longest, backend, interpolation) for band in bands]
        return np.stack(resized, axis=2)
    if max(size) <= longest:
        if backend == "pillow":
            return resize_pillow(image, size, interpolation)
        return imresize(image, size[::-1], interpolation=interpolation, backend=backend)
    axis = int(size[1] > size[0])
    left_out = (size[axis] - longest) // 4 * 2
    resize = _resize_part_pillow if backend == "pillow" else _resize_part_cv2
    return resize(image, size, axis, slice(left_out, size[axis] - left_out), interpolation)


def _resize_part_pillow(
    image: np.ndarray, size: tuple[int, int], axis: int, part: slice, interpolation: str
) -> np.ndarray:
    """Return rows (``axis`` 0) or columns ``part`` of the image resized to ``size`` by Pillow."""
    step = image.shape[axis] / size[axis]
    source = _source(image.shape[axis], step, part)
    window = image[:, source] if axis else image[source]
    # offsets refer to the window because Pillow stores them in single precision
    start, stop = part.start * step - source.start, part.stop * step - source.start
    length = part.stop - part.start
    box = (start, 0, stop, image.shape[0]) if axis else (0, start, image.shape[1], stop)
    part_size = (size[0], length) if axis else (length, size[1])
    return resize_pillow(window, part_size, interpolation, box)


def _resize_part_cv2(
    image: np.ndarray, size: tuple[int, int], axis: int, part: slice, interpolation: str
) -> np.ndarray:
    """Do the same as :func:`_resize_part_pillow` with OpenCV."""
    from mmcv.image.geometric import cv2_interp_codes

    step = image.shape[axis] / size[axis]
    source = _source(image.shape[axis], step, part)
    # OpenCV needs a window that begins with a full pixel in both images; choose the closest pair
    offsets = min(_CV2_OFFSETS, int((part.stop - part.start) * step))
    candidates = range(max(0, source.start - offsets), source.start + 1)
    first = min(candidates, key=lambda pixel: abs(pixel / step - round(pixel / step)))
    source = slice(first, source.stop)
    resized = cv2.resize(
        image[:, source] if axis else image[source],
        None,
        fx=size[1] / image.shape[1],
        fy=size[0] / image.shape[0],
        interpolation=cv2_interp_codes[interpolation],
    )
    start, stop = part.start - round(first / step), part.stop - round(first / step)
    return resized[:, start:stop] if axis else resized[start:stop]


def _source(length: int, step: float, part: slice) -> slice:
    """Return the rows or columns of the original on which a part of the resized image depends."""
    margin = 4 * max(1.0, step) + 1  # the widest kernel, Lanczos of OpenCV, reaches 4 pixels
    first, last = part.start * step - margin, part.stop * step + margin
    return slice(max(0, math.floor(first)), min(length, math.ceil(last)))
