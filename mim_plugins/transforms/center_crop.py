"""The usual pipeline of evaluations."""

from collections.abc import Sequence

from .regular_file_backend import REGULAR_FILE_BACKEND

_COLORS = 3


def center_crop(
    img_size: int | Sequence[int],
    short_edge: int | None = None,
    interpolation: str = "bicubic",
    backend: str = "pillow",
    bands: dict | None = None,
    channels: int = _COLORS,
) -> list[dict]:
    """Return the usual evaluation pipeline: resize the short edge, then crop the center.

    Without ``bands``, 8-bit images are converted to gray for one channel, and files of any other
    number of channels than 3 are read as bands.

    Args:
        img_size: side or (H, W) of the crop.
        short_edge: pixels of the short edge after resizing; None for 256 / 224 of the longer side
            of the crop.
        interpolation: name of the interpolation.
        backend: library that resizes, ``'pillow'`` or ``'cv2'``.
        bands: see :class:`LoadImage`.
        channels: channels of the model's images.
    """
    from mmcv.transforms import CenterCrop

    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    return [
        _loader(bands, channels),
        dict(
            type="mim_plugins.ResizeEdge",
            scale=short_edge or round(max(height, width) * 256 / 224),
            edge="short",
            backend=backend,
            interpolation=interpolation,
        ),
        dict(type=CenterCrop, crop_size=(width, height)),
        dict(type="mmpretrain.PackInputs"),
    ]


def _loader(bands: dict | None, channels: int) -> dict:
    from mmcv.transforms import LoadImageFromFile

    if bands is None and channels == 1:
        backend = dict(backend=REGULAR_FILE_BACKEND)
        return dict(type=LoadImageFromFile, color_type="grayscale", backend_args=backend)
    if bands is None and channels != _COLORS:
        bands = dict(channels=channels)
    return dict(type="mim_plugins.LoadImage", **({} if bands is None else dict(bands=bands)))
