"""EXIF orientation of image files."""

import io
import re
import warnings

import cv2
import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from .pillow_header import without_size_limit

UPRIGHT = 1
_ORIENTATION = 0x0112
# OpenCV's number for left-right (1), upside-down (0) or both (-1), after 5 to 8 were transposed
_MIRRORS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
_SIGNATURES = dict(
    JPEG=re.compile(rb"\xff\xd8\xff"),
    PNG=re.compile(rb"\x89PNG\r\n\x1a\n"),
    WebP=re.compile(rb"RIFF....WEBP", re.DOTALL),
    AVIF=re.compile(rb"....ftypavi[fs]", re.DOTALL),
)


def read_orientation(data: bytes) -> int | None:
    """Return the EXIF orientation (1 to 8) of a JPEG, PNG, WebP or AVIF file, None for others.

    It is read by Pillow, so a file and its PIL image agree, whatever number type the tag has.
    """
    kind = next((kind for kind, found in _SIGNATURES.items() if found.match(data)), None)
    if kind is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with without_size_limit():
                header = _open_header(kind, data)
        except Exception:  # a corrupt header; the decoder checks the pixels
            return UPRIGHT
        return UPRIGHT if header is None else image_orientation(header)


def image_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation (1 to 8) of a PIL image; 1 if it is missing or unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(_ORIENTATION, UPRIGHT)
            return int(orientation) if orientation in range(1, 9) else UPRIGHT
    except Exception:  # corrupt metadata raise struct.error, SyntaxError, ValueError, ...
        return UPRIGHT


def is_transposed(orientation: int | None) -> bool:
    """Return whether an EXIF orientation exchanges width and height."""
    return orientation is not None and orientation >= 5


def turn_upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror pixels (H, W[, C]) stored with an EXIF orientation, so they are upright."""
    if is_transposed(orientation):
        image = cv2.transpose(image)
    mirror = _MIRRORS.get(orientation)
    return image if mirror is None else cv2.flip(image, mirror)


def _open_header(kind: str, data: bytes) -> ImageFile.ImageFile | None:
    """Open a file with Pillow, without its pixels; return None if it has no metadata."""
    if kind == "JPEG":
        return JpegImageFile(io.BytesIO(data))
    if kind == "WebP":
        return WebPImageFile(io.BytesIO(data)) if data[12:16] == b"VP8X" else None
    if kind == "AVIF":
        from PIL.AvifImagePlugin import AvifImageFile  # not in all versions and builds of Pillow

        return AvifImageFile(io.BytesIO(data))
    header = PngImageFile(io.BytesIO(data))
    # Pillow would decode all pixels to look for metadata after them
    found = {"exif", "Raw profile type exif", "XML:com.adobe.xmp"} & header.info.keys()
    return header if found or b"eXIf" in data else None
