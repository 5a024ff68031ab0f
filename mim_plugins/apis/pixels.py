"""Conversion of images of any kind to the pixels that the transforms expect."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..archives import image_exists
from ..errors import CorruptImageError
from ..file_names import printable
from ..transforms import LoadImage
from ..transforms.orientation import image_orientation, turn_upright
from ..transforms.tiff_samples import describe_left_out
from .band_pixels import to_bands

Images = Any
"""An image, a sequence of images (see :func:`to_pixels`), an array (B, H, W, C) or a tensor
(B, C, H, W)."""

_CHANNELS = (1, 3, 4)
_KINDS = (
    "give a path, a file's content or an open file, a PIL image, a gray or RGB array (H, W[, C]) or"
    " a gray or RGB tensor ([C,] H, W)"
)
# conversions by Pillow of modes whose numbers are not gray, RGB or alpha values
_CONVERSIONS = dict(
    CMYK="RGB", HSV="RGB", La="LA", P="RGBA", PA="RGBA", RGBX="RGB", RGBa="RGBA", YCbCr="RGB"
)
_SIXTEEN_BITS = ("JPEG2000", "PNG", "PPM")  # formats with 16 bits that Pillow may read into 32 bits


def each_image(images: Images, load: LoadImage | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and pixels (H, W, C) of each image; see :func:`to_pixels`.

    The name is that of the file, or the image's position in ``images``.

    Raises:
        ValueError: there is no image, or a value is not an image.
    """
    is_numbers = isinstance(images, (np.ndarray, Tensor))
    is_single = images.ndim < 4 if is_numbers else is_one_image(images)
    index = -1
    for index, image in enumerate([images] if is_single else images):
        name = f"images[{index}]"
        yield file_name(image) or name, to_pixels(image, name, load)
    if index < 0:
        raise ValueError("images: the sequence is empty; give at least one image")


def is_one_image(images: Any) -> bool:
    """Return whether a value other than an array is one image, not a sequence of images."""
    single = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image)
    return isinstance(images, single) or hasattr(images, "read") or not hasattr(images, "__iter__")


def file_name(image: Any) -> str:
    """Return the name of an image's file in one line, ``""`` if it is unknown."""
    name = image if isinstance(image, (str, os.PathLike)) else getattr(image, "filename", "")
    return printable(name) if isinstance(name, (str, os.PathLike)) else ""


def to_pixels(image: Any, name: str, load: LoadImage | None = None) -> np.ndarray:
    """Convert an image of any kind to pixels (H, W, C), as the loading transform does.

    The pixels are 8-bit BGR unless the transform reads ``bands``; for these, see
    :func:`to_bands`.

    Gray images get three equal channels, 16 bits are scaled to 8, an alpha channel is dropped, and
    the EXIF orientation of files and PIL images is applied. A PIL image that was turned by
    ``transpose`` or ``rotate`` keeps its EXIF orientation and is turned again; turn it with
    ``PIL.ImageOps.exif_transpose``, which removes it.

    Args:
        image: a path, ``ARCHIVE::MEMBER`` or URL, a file's content, a binary file, a PIL image of
            any mode but LAB, an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a tensor with
            the channels first. Numbers are uint8, uint16, bool, or floats in [0, 1]; colors are
            RGB.
        name: name of the image in messages.
        load: loading transform of files; None reads 8-bit colors.

    Raises:
        FileNotFoundError: the file does not exist.
        CorruptImageError: a file cannot be read or decoded.
        ValueError: the value is not an image, or its numbers have another shape, type or range.
    """
    load = load or LoadImage()
    if isinstance(image, (str, os.PathLike)):
        path = os.path.expanduser(os.fspath(image))
        if not image_exists(path):
            raise FileNotFoundError(f"there is no image '{printable(image)}'")
        return load(dict(img_path=path))["img"]
    if load.bands is not None and isinstance(image, Tensor):
        return to_bands(_to_array(image, name), name, load.bands, channels_last=True)
    if load.bands is not None and isinstance(image, (Image.Image, np.ndarray)):
        return to_bands(image, name, load.bands)
    if isinstance(image, Image.Image):
        return _from_pillow(image, name)
    if isinstance(image, Tensor):
        return _from_numbers(_to_array(image, name), name, tuple(image.shape))
    if isinstance(image, np.ndarray):
        return _from_numbers(image, name, image.shape)
    content = _read(image) if hasattr(image, "read") else image
    if isinstance(content, (bytes, bytearray, memoryview)):
        return load.decode(bytes(content), str(getattr(image, "name", name)))
    raise ValueError(f"{name}: {type(image).__name__} is not an image; {_KINDS}")


def _read(file: Any) -> Any:
    """Read an open file and restore its position, because it may be given more than once."""
    if not hasattr(file, "seekable") or not file.seekable():
        return file.read()
    start = file.tell()
    content = file.read()
    file.seek(start)
    return content


def _from_pillow(image: Image.Image, name: str) -> np.ndarray:
    path = str(getattr(image, "filename", "") or name)
    left_out = describe_left_out(getattr(image, "tag_v2", {}))
    if left_out:
        raise ValueError(f"{name}: {left_out}")
    try:
        _load(image)
        orientation = image_orientation(image)
        target = _CONVERSIONS.get(image.mode)
        pixels = np.asarray(image.convert(target) if target else image)
    except (OSError, SyntaxError, MemoryError) as error:  # Pillow decodes only now
        kind = "truncated" if "truncated" in str(error).lower() else "corrupt"
        raise CorruptImageError(f"corrupt image '{path}': {kind} ({error})", path, kind) from error
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # a closed file or an unusual mode
        raise ValueError(f"{name}: the PIL image cannot be read ({error})") from error
    if image.mode == "LAB":
        raise ValueError(
            f"{name}: PIL images of mode LAB are not supported; convert the image with PIL.ImageCms"
            " first"
        )
    if image.mode == "RGBA" and image.format == "TIFF":
        # as libtiff hands them to OpenCV, multiplied by alpha
        colors, alpha = pixels[..., :3].astype(np.uint16), pixels[..., 3:]
        pixels = ((colors * alpha + 127) // 255).astype(np.uint8)
    if image.mode in ("LA", "La"):
        pixels = pixels[..., 0]
    is_file = image.format in _SIXTEEN_BITS or (image.mode != "I" and image.format is not None)
    if image.mode == "I":
        pixels = _from_32_bits(pixels, name, is_file)
    numbers = _from_numbers(pixels, name, pixels.shape, is_scaled=is_file)
    return turn_upright(numbers, orientation)


def _load(image: Any) -> None:
    """Decode a PIL image; a TIFF that Pillow maps into memory would lose its orientation."""
    path = getattr(image, "filename", None)
    if image.format != "TIFF" or not path:
        image.load()
        return
    image.filename = ""  # Pillow maps named files only
    try:
        image.load()
    finally:
        image.filename = path


def _from_32_bits(pixels: np.ndarray, name: str, is_file: bool) -> np.ndarray:
    """Convert 32-bit pixels to 16 bits, the depth of the files that Pillow reads as mode I."""
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535 or (high <= 255 and not is_file):
        raise ValueError(f"{name}: a PIL image of mode I {_unknown_white(low, high)}")
    return pixels.astype(np.uint16)


def _unknown_white(low: int, high: int) -> str:
    return (
        f"with values from {low} to {high}, whose white level is unknown; give 8 bits, where white"
        " is 255 (uint8, PIL mode L), or 16 bits, where white is 65535 (uint16, I;16)"
    )


def _to_array(image: Tensor, name: str) -> np.ndarray:
    """Convert a tensor ([C,] H, W) to an array (H, W[, C])."""
    try:
        image = image.detach().cpu()
        if image.dtype in (torch.bfloat16, torch.float16):
            image = image.float()
        array = image.numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"{name}: a tensor of {image.dtype}, layout {image.layout} on '{image.device}' has no"
            f" pixels; {_KINDS}"
        ) from error
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _from_numbers(
    pixels: np.ndarray, name: str, shape: tuple[int, ...], is_scaled: bool = False
) -> np.ndarray:
    """Convert gray or RGB numbers (H, W[, C]) to 8-bit BGR.

    Args:
        pixels: the numbers.
        name: for messages, as ``shape``.
        shape: see ``name``.
        is_scaled: whether white is known to be the highest value of the type.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.size == 0 or pixels.ndim != 3 or pixels.shape[2] not in _CHANNELS:
        raise ValueError(
            f"{name}: shape {tuple(shape)} is not that of an image; expected an array (H, W) or"
            " (H, W, 1) of gray, (H, W, 3) of RGB or (H, W, 4) of RGB and alpha, or a tensor"
            " (H, W), (1, H, W), (3, H, W) or (4, H, W)"
        )
    rgb = _to_bytes(pixels[..., :3], name, is_scaled)
    return np.ascontiguousarray(np.broadcast_to(rgb, (*rgb.shape[:2], 3))[..., ::-1])


def _to_bytes(pixels: np.ndarray, name: str, is_scaled: bool) -> np.ndarray:
    kind = pixels.dtype.kind
    if pixels.dtype == np.uint8:
        return pixels
    if kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if kind == "u" and pixels.dtype.itemsize == 2:
        low, high = int(pixels.min()), int(pixels.max())
        if 0 < high <= 255 and not is_scaled:  # 8-bit values would become black
            raise ValueError(f"{name}: {pixels.dtype} {_unknown_white(low, high)}")
        return (pixels >> 8).astype(np.uint8)  # as decoders scale 16-bit files
    if kind == "f" and np.isfinite(pixels).all() and 0 <= pixels.min() <= pixels.max() <= 1:
        return np.round(pixels.astype(np.float32) * 255).astype(np.uint8)
    extent = f" from {pixels.min()} to {pixels.max()}" if kind in "iuf" else ""
    raise ValueError(
        f"{name}: {pixels.dtype}{extent}; expected uint8, uint16, bool, or floats in [0, 1] before"
        " normalization"
    )
