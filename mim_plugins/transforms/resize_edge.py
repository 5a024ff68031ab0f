"""Transform that resizes one edge of an image, and of very long images only the middle."""

import math

import cv2
import numpy as np
from PIL import Image

from ..registry import TRANSFORMS

EDGES = ("short", "long", "width", "height")
BACKENDS = ("cv2", "pillow")
_CV2_OFFSETS = 256  # first pixels to choose among


@TRANSFORMS.register_module()
class ResizeEdge:
    """Resize ``img`` such that one edge has ``scale`` pixels, as mmpretrain's ``ResizeEdge`` does.

    The result is never longer than about ``max_ratio`` times ``scale``: of a longer image, such as
    one of 20000x1 pixels, only the middle is resized, which takes a fraction of the memory.
    ``CenterCrop``, for which this transform is meant, then cuts out the pixels that it would cut
    out of the whole, up to rounding.

    Args:
        scale: pixels of the edge after resizing.
        edge: ``'short'``, ``'long'``, ``'width'`` or ``'height'``.
        backend: ``'cv2'`` or ``'pillow'``.
        interpolation: one that mmcv's ``imresize`` has for the backend, such as ``'bicubic'``.
        max_ratio: length from which on only the middle is kept, in multiples of ``scale``. Crops
            must not be longer.

    Raises:
        ValueError: another ``edge`` or ``backend``, or numbers that are too small.
    """

    def __init__(
        self,
        scale: int,
        edge: str = "short",
        backend: str = "cv2",
        interpolation: str = "bilinear",
        max_ratio: float = 16,
    ) -> None:
        if edge not in EDGES:
            raise ValueError(f"ResizeEdge: edge={edge!r} must be one of {EDGES}")
        if backend not in BACKENDS:
            raise ValueError(f"ResizeEdge: backend={backend!r} must be one of {BACKENDS}")
        if scale < 1 or max_ratio < 1:
            raise ValueError(
                f"ResizeEdge: scale={scale} and max_ratio={max_ratio} must be at least 1"
            )
        self.scale = scale
        self.edge = edge
        self.backend = backend
        self.interpolation = interpolation
        self.longest = max(scale, math.ceil(scale * max_ratio))

    def __call__(self, results: dict) -> dict:
        """Replace ``img`` (H, W) or (H, W, C) and ``img_shape``, add ``scale``, ``scale_factor``.

        ``scale_factor`` is that of the whole image.
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


def resized_size(shape: tuple[int, ...], scale: int, edge: str) -> tuple[int, int]:
    """(H, W) of an image of ``shape`` (H, W, ...) after its ``edge`` was resized to ``scale``."""
    height, width = shape[:2]
    if edge in ("short", "long"):
        edge = "width" if (width < height) == (edge == "short") and width != height else "height"
    if edge == "width":
        return max(1, int(scale * height / width)), scale
    return scale, max(1, int(scale * width / height))


def resize_middle(
    image: np.ndarray, size: tuple[int, int], longest: int, backend: str, interpolation: str
) -> np.ndarray:
    """Resize (h, w) or (h, w, C) to ``size`` (H, W), but only the middle of edges over ``longest``.

    What is left out at either end is an even number of pixels, because ``CenterCrop`` rounds to
    even numbers.
    """
    from mmcv.image import imresize

    if max(size) <= longest:
        return imresize(image, size[::-1], interpolation=interpolation, backend=backend)
    axis = int(size[1] > size[0])
    left_out = (size[axis] - longest) // 4 * 2
    resize = _resize_part_pillow if backend == "pillow" else _resize_part_cv2
    return resize(image, size, axis, slice(left_out, size[axis] - left_out), interpolation)


def _resize_part_pillow(
    image: np.ndarray, size: tuple[int, int], axis: int, part: slice, interpolation: str
) -> np.ndarray:
    """Rows (``axis`` 0) or columns ``part`` of ``image`` resized to ``size`` (H, W), by Pillow."""
    step = image.shape[axis] / size[axis]
    source = _source(image.shape[axis], step, part)
    window = image[:, source] if axis else image[source]
    # offsets are taken within the window: Pillow keeps them in single precision
    start, stop = part.start * step - source.start, part.stop * step - source.start
    length = part.stop - part.start
    return np.asarray(
        Image.fromarray(np.ascontiguousarray(window)).resize(
            (length, size[0]) if axis else (size[1], length),
            Image.Resampling[interpolation.upper()],
            box=(start, 0, stop, image.shape[0]) if axis else (0, start, image.shape[1], stop),
        )
    )


def _resize_part_cv2(
    image: np.ndarray, size: tuple[int, int], axis: int, part: slice, interpolation: str
) -> np.ndarray:
    """The same as :func:`_resize_part_pillow`, by OpenCV."""
    from mmcv.image.geometric import cv2_interp_codes

    step = image.shape[axis] / size[axis]
    source = _source(image.shape[axis], step, part)
    # OpenCV's windows begin with a whole pixel of both images: take the pair that nearly does
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
    """Rows or columns of the original that a part of the resized image depends on."""
    margin = 4 * max(1.0, step) + 1  # the widest kernel, Lanczos of OpenCV, reaches 4 pixels
    first, last = part.start * step - margin, part.stop * step + margin
    return slice(max(0, math.floor(first)), min(length, math.ceil(last)))
