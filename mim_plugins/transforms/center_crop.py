"""The usual pipeline of evaluations."""

from collections.abc import Sequence

from .regular_file_backend import REGULAR_FILE_BACKEND

_COLORS = 3


def center_crop(
    img_size: int | Sequence[int],
    resize: int | Sequence[int] | None = None,
    interpolation: str = "bicubic",
    backend: str = "pillow",
    bands: dict | None = None,
    channels: int = _COLORS,
) -> list[dict]:
    """Return the usual evaluation pipeline: resize until the crop is covered, then crop the center.

    Without ``bands``, 8-bit images are converted to gray for one channel, and files of any other
    number of channels than 3 are read as bands.

    Args:
        img_size: side or (H, W) of the crop.
        resize: short edge, or (H, W) to cover, see :class:`ResizeEdge`; None for
            :func:`covering_scale`.
        interpolation: name of the interpolation.
        backend: library that resizes, ``'pillow'`` or ``'cv2'``.
        bands: see :class:`LoadImage`.
        channels: channels of the model's images.
    """
    from mmcv.transforms import CenterCrop

    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    if resize is None:
        resize = covering_scale((height, width))
    return [
        _loader(bands, channels),
        dict(
            type="mim_plugins.ResizeEdge",
            scale=resize if isinstance(resize, int) else list(resize),
            edge="short",
            backend=backend,
            interpolation=interpolation,
        ),
        dict(type=CenterCrop, crop_size=(width, height)),
        dict(type="mmpretrain.PackInputs"),
    ]


def covering_scale(crop: tuple[int, int], longer_side: int | None = None) -> int | list[int]:
    """Return the ``scale`` of :class:`ResizeEdge` before a crop (H, W).

    It is in proportion to the crop, so crops of every shape contain the same share of an image of
    their shape.

    Args:
        crop: (H, W) in pixels.
        longer_side: pixels of the longer side of the result; None for 256 / 224 of the crop's.
    """
    longest = max(crop)
    if longer_side is None:
        longer_side = round(longest * 256 / 224)
    height, width = (side * longer_side // longest for side in crop)
    return height if height == width else [height, width]


def _loader(bands: dict | None, channels: int) -> dict:
    from mmcv.transforms import LoadImageFromFile

    if bands is None and channels == 1:
        backend = dict(backend=REGULAR_FILE_BACKEND)
        return dict(type=LoadImageFromFile, color_type="grayscale", backend_args=backend)
    if bands is None and channels != _COLORS:
        bands = dict(channels=channels)
    return dict(type="mim_plugins.LoadImage", **({} if bands is None else dict(bands=bands)))
