"""The usual pipeline of evaluations."""

from collections.abc import Sequence


def center_crop(
    img_size: int | Sequence[int],
    short_edge: int | None = None,
    interpolation: str = "bicubic",
    backend: str = "pillow",
    bands: dict | None = None,
) -> list[dict]:
    """Return the usual evaluation pipeline: resize the short edge, then crop the center.

    Args:
        img_size: side or (H, W) of the crop.
        short_edge: pixels of the short edge after resizing; None for 256 / 224 of the longer side
            of the crop.
        interpolation: name of the interpolation.
        backend: library that resizes, ``'pillow'`` or ``'cv2'``.
        bands: see :class:`LoadImage`.
    """
    from mmcv.transforms import CenterCrop

    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    return [
        dict(type="mim_plugins.LoadImage", **({} if bands is None else dict(bands=bands))),
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
