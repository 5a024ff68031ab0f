"""Transform that resizes one edge of an image, and of very long images only the middle."""

import math

import cv2
import numpy as np
from PIL import Image

from ..registry import TRANSFORMS

EDGES = ("short", "long", "width", "height")
BACKENDS = ("cv2", "pillow")
_CV2_OFFSETS = 256  # first columns to choose among


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
    along = int(size[1] >= size[0])
    lengthwise = image if along else image.swapaxes(0, 1)
    across, full = size[1 - along], size[along]
    left_out = (full - longest) // 4 * 2
    resize = _resize_part_pillow if backend == "pillow" else _resize_part_cv2
    part = resize(
        np.ascontiguousarray(lengthwise), (across, full), left_out, full - left_out, interpolation
    )
    return part if along else np.ascontiguousarray(part.swapaxes(0, 1))


def _resize_part_pillow(
    image: np.ndarray, size: tuple[int, int], start: int, stop: int, interpolation: str
) -> np.ndarray:
    """Columns ``start`` to ``stop`` of ``image`` resized to ``size`` (H, W), by Pillow."""
    step = image.shape[1] / size[1]
    first, last = _source_columns(image.shape[1], step, start, stop)
    # offsets are taken within the part: Pillow keeps them in single precision
    box = (start * step - first, 0, stop * step - first, image.shape[0])
    part = Image.fromarray(np.ascontiguousarray(image[:, first:last]))
    resample = Image.Resampling[interpolation.upper()]
    return np.asarray(part.resize((stop - start, size[0]), resample, box=box))


def _resize_part_cv2(
    image: np.ndarray, size: tuple[int, int], start: int, stop: int, interpolation: str
) -> np.ndarray:
    """Columns ``start`` to ``stop`` of ``image`` resized to ``size`` (H, W), by OpenCV."""
    from mmcv.image.geometric import cv2_interp_codes

    step = image.shape[1] / size[1]
    latest, last = _source_columns(image.shape[1], step, start, stop)
    # OpenCV's parts begin with a whole pixel of both images: take the pair that nearly does
    offsets = min(_CV2_OFFSETS, int((stop - start) * step))
    candidates = range(max(0, latest - offsets), latest + 1)
    first = min(candidates, key=lambda column: abs(column / step - round(column / step)))
    resized = cv2.resize(
        image[:, first:last],
        None,
        fx=1 / step,
        fy=size[0] / image.shape[0],
        interpolation=cv2_interp_codes[interpolation],
    )
    at = start - round(first / step)
    return resized[:, at : at + stop - start]


def _source_columns(width: int, step: float, start: int, stop: int) -> tuple[int, int]:
    """First and last column of the original that a part of the resized image depends on."""
    margin = 4 * max(1.0, step) + 1  # the widest kernel, Lanczos of OpenCV, reaches 4 pixels
    return max(0, math.floor(start * step - margin)), min(width, math.ceil(stop * step + margin))
