"""Decoding of image files, with an error for every corruption that the decoders detect."""

import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import CorruptImageError
from ..file_names import printable
from .orientation import read_orientation, turn_upright
from .pillow_header import open_header
from .tiff_samples import TIFF, describe_left_out, read_tags

# messages of libjpeg and libtiff when they return garbage for corrupt data
_GARBAGE = re.compile(r"Corrupt JPEG data[^\n]*|Premature end of JPEG[^\n]*|TIFF_Error[^\n]*")
# Pillow writes multi-picture files with EXIF so: the bytes are rests of the metadata
_BEFORE_TABLES = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xdb")
_MPF_AT = 1 << 17  # metadata segments have at most 64 kB each
# of PGM and PPM, with the largest number in the file; blanks may contain comments
_BLANK = rb"(?:\s|#[^\n\r]*[\n\r])+"
_PNM = re.compile(rb"P[2356]" + _BLANK + rb"\d+" + _BLANK + rb"\d+" + _BLANK + rb"(\d+)\s")
# the color type is the tenth byte of PNG's header, after width, height and depth
_GRAY_ALPHA = re.compile(rb"\x89PNG\r\n\x1a\n.{17}\x04", re.DOTALL)
_LONGEST_HEADER = 4096  # bytes
# above which OpenCV (pixels) and libpng (a side) refuse to decode
MAX_PIXELS, _MAX_SIDE = 1 << 30, 1_000_000
_DIAGNOSED = 1 << 27  # pixels for which Pillow may allocate memory to find a cause
_EXECUTED = "EPS"  # Pillow would start Ghostscript on it
_COLORS = 3
_lock = threading.Lock()


def decode_image(data: bytes, path: str = "") -> np.ndarray:
    """Decode an image file to 8-bit BGR (H, W, 3), as mmcv's default backend does.

    Gray images, palettes and CMYK are converted to three channels. 16 bits are scaled to 8, and so
    are PNM files whose largest number is not 255. An alpha channel is dropped, so hidden colors
    appear; TIFF files with other bands are refused. The first frame of an animation is returned.
    The EXIF orientation is applied (see :func:`read_orientation`); torchvision's image folders
    ignore it.

    Corrupt JPEG data decodes to garbage without an error; the decoder only prints a message to
    standard error, which is captured. Two kinds of corruption remain undetected: bytes replaced by
    others with a valid meaning, and changes in formats without checksums (BMP, PNM, most WebP and
    TIFF).

    Args:
        data: content of the file.
        path: path of the file, for the message.

    Raises:
        CorruptImageError: the content is empty, not an image, truncated, corrupt, too large, or of
            a kind that OpenCV cannot read completely (32-bit float, several bands).
    """
    _check_content(data, path)
    if _has_own_white(data):
        return _decode_scaled(data, path)
    left_out = describe_left_out(read_tags(data))
    if left_out:
        raise corruption(path, "unsupported", left_out)
    image = _decode(data, path, cv2.IMREAD_COLOR)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        found = f"{image.dtype} pixels of the shape {image.shape}"
        raise corruption(path, "unsupported", f"{found}, not 8-bit colors")
    return image


def decode_unchanged(data: bytes, path: str = "") -> np.ndarray:
    """Decode an image file that OpenCV reads to the numbers and channels of the file.

    The result is gray (H, W), gray with alpha (H, W, 2), RGB (H, W, 3) or RGBA (H, W, 4). Palettes
    and CMYK become colors. A transparent color becomes alpha in PNG files of colors or a palette.
    It is ignored in gray PNG files and in GIF files. The EXIF orientation is applied.

    Raises:
        CorruptImageError: see :func:`decode_image`, or the file is a PNM file whose white is not
            255 or 65535.
    """
    _check_content(data, path)
    if _has_own_white(data):
        raise corruption(path, "unsupported", "a PNM file with white at another level than 255")
    image = _decode(data, path, cv2.IMREAD_UNCHANGED)
    if image.ndim == 3 and image.shape[2] >= _COLORS:  # BGR or BGRA
        image = np.concatenate([image[..., _COLORS - 1 :: -1], image[..., _COLORS:]], axis=2)
    if _GRAY_ALPHA.match(data) and image.ndim == 3 and image.shape[2] > _COLORS:
        image = image[..., [0, _COLORS]]  # OpenCV repeats the gray
    elif data.startswith(b"GIF8"):
        image = image[..., :_COLORS]  # OpenCV adds an alpha channel to animations alone
    return image


def _check_content(data: bytes, path: str) -> None:
    if not data:
        raise corruption(path, "empty", "the file has 0 bytes")
    if data.startswith((b"Pf", b"PF")):
        raise corruption(path, "unsupported", "a PFM file: floats whose white level is unknown")


def _decode(data: bytes, path: str, flags: int) -> np.ndarray:
    """Decode by OpenCV, upright, and check its messages."""
    orientation = read_orientation(data)
    if orientation is not None:  # OpenCV reads fewer kinds of tags
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    image = None
    with _decoder_messages() as messages, suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    text = "\n".join(messages)
    if image is None:
        raise corruption(path, *_diagnose(data))
    garbage = _GARBAGE.search(text)
    if garbage and not (_BEFORE_TABLES.search(text) and b"MPF\0" in data[:_MPF_AT]):
        raise corruption(path, "corrupt", garbage[0].strip())
    if text:
        sys.stderr.write(text)
    return image if orientation is None else turn_upright(image, orientation)


def _has_own_white(data: bytes) -> bool:
    """Return whether a PNM file is text, or has a largest number that OpenCV does not scale."""
    header = _PNM.match(data[:_LONGEST_HEADER])
    is_text = data.startswith((b"P2", b"P3"))
    return header is not None and (is_text or int(header[1]) not in (255, 65535))


def _decode_scaled(data: bytes, path: str) -> np.ndarray:
    """Decode a PNM file with Pillow, which divides by the largest number."""
    try:
        with open_header(data) as image:
            width, height = image.size
            if _is_too_large(width, height) or width * height > len(data):
                raise ValueError("more pixels than bytes")  # Pillow would allocate them all
            pixels = np.asarray(image)
    except Exception as error:
        raise corruption(path, *_diagnose(data)) from error
    if pixels.ndim == 2:  # 32-bit integers contain 16 bits
        pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1])


def corruption(path: str, kind: str, cause: str) -> CorruptImageError:
    """Return the error of a file; ``kind`` is one of :attr:`CorruptImageError.KINDS`."""
    return CorruptImageError(f"corrupt image '{printable(path)}': {kind} ({cause})", path, kind)


@contextmanager
def _decoder_messages() -> Iterator[list[str]]:
    """Capture the standard error of C code; the list is filled at the end."""
    messages: list[str] = []
    with _lock:
        try:
            original = os.dup(2)
        except OSError:  # no standard error at all
            yield messages
            return
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)  # a decoder must never wait for us to read
        os.dup2(writer, 2)
        try:
            yield messages
        finally:
            os.dup2(original, 2)
            os.close(original)
            os.close(writer)
            try:
                text = os.read(reader, 1 << 16).decode(errors="replace")
            except BlockingIOError:
                text = ""
            os.close(reader)
            if text:
                messages.append(text)


def _is_too_large(width: int, height: int) -> bool:
    return max(width, height) > _MAX_SIDE or width * height > MAX_PIXELS


def _diagnose(data: bytes) -> tuple[str, str]:
    """Return kind and cause of content that OpenCV rejected; Pillow distinguishes the kinds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open_header(data) as image:
                width, height = image.size
                if _is_too_large(width, height):
                    return "too large", f"{width}x{height} pixels"
                if width * height > _DIAGNOSED:  # a few bytes may declare as many
                    return "corrupt", f"OpenCV cannot decode the {width}x{height} pixels"
                if image.format != _EXECUTED:
                    image.load()
                return "unsupported", f"OpenCV cannot read {image.format} of mode {image.mode}"
        except UnidentifiedImageError:
            if data.startswith(TIFF):
                return (
                    "unsupported",
                    "a TIFF file whose kind of pixels, such as 32-bit floats in colors, OpenCV and"
                    " Pillow cannot read; convert it to 8 bits, or read it with bands=dict(...) of"
                    " the loading transform",
                )
            return "not an image", f"begins with {data[:8]!r}"
        except (Image.DecompressionBombError, MemoryError) as error:
            return "too large", str(error) or "not enough memory"
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, ...
            message = str(error)
            kind = "truncated" if "truncated" in message.lower() else "corrupt"
            return kind, message
