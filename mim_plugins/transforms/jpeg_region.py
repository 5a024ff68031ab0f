"""Partial decoding of JPEG files for crops, with the optional package simplejpeg."""

import re
import struct
import threading
from typing import NamedTuple

import numpy as np

from .decode import MAX_PIXELS
from .orientation import UPRIGHT, read_orientation

try:
    import simplejpeg
except ImportError:  # the extra [fast] is not installed
    simplejpeg = None

AVAILABLE = simplejpeg is not None
SCALES = (4, 2)  # fast in libjpeg-turbo; 8 loses much of the color

# APP1 segments with an orientation contain the EXIF tag in either byte order, or the XMP name
_ORIENTATION = re.compile(rb"\x12\x01|\x01\x12|Orientation")
# libjpeg's message for an image that ends above its last row; only the first fault is reported
_ENDED_EARLY = re.compile(r"extraneous bytes before marker 0xd9")
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _RESTARTS, _START_OF_SCAN, _METADATA = 0xC2, 0xDD, 0xDA, 0xE1
_CONTEXT_ROWS = 2  # rows below the crop that chroma up-sampling reads
_SCRATCH_BYTES = 1 << 24


class Box(NamedTuple):
    """Crop in pixels of the full image."""

    top: int
    left: int
    height: int
    width: int


class JpegHeader(NamedTuple):
    """Size and layout from the header of a JPEG file."""

    height: int
    width: int
    height_at: int
    """Offset of the two bytes with the height."""
    can_end_early: bool
    """One scan from top to bottom, without restart markers."""


class _Scratch(threading.local):
    """Reused decoding buffer, because allocating pages for every image is slow."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)

    def take(self, size: int) -> np.ndarray:
        if size > _SCRATCH_BYTES:
            return np.empty(size, np.uint8)
        if size > len(self.memory):
            self.memory = np.empty(size, np.uint8)
        return self.memory


_scratch = _Scratch()


def read_header(data: bytes) -> JpegHeader | None:
    """Return the header of an upright 8-bit JPEG file in gray or color.

    Return None if a general decoder is needed: for other formats, CMYK, more than 8 bits, lossless
    and arithmetic coding, an EXIF orientation, sizes that the decoder refuses, broken headers.
    """
    if data[:2] != b"\xff\xd8":
        return None
    frame = None
    restarts = may_be_turned = False
    at = 2
    try:
        while data[at + 1] != _START_OF_SCAN:
            marker, length = struct.unpack_from(">HH", data, at)
            if not 0xFFC0 <= marker < 0xFFFF or length < 2:
                return None
            marker &= 0xFF
            if marker == _METADATA and _ORIENTATION.search(data, at, at + 2 + length):
                may_be_turned = True
            if marker == _RESTARTS:
                restarts = data[at + 4 : at + 6] != b"\0\0"
            if marker in _START_OF_FRAME:
                bits, height, width, colors = struct.unpack_from(">BHHB", data, at + 4)
                frame = (marker, bits, height, width, colors, at + 5)
            at += 2 + length
    except (IndexError, struct.error):
        return None
    if frame is None:
        return None
    marker, bits, height, width, colors, height_at = frame
    if may_be_turned and read_orientation(data) != UPRIGHT:
        return None
    if marker > _PROGRESSIVE or bits != 8 or colors not in (1, 3):
        return None
    if not 0 < height * width <= MAX_PIXELS:
        return None
    one_scan = marker != _PROGRESSIVE and not restarts and data[at + 4] == colors
    return JpegHeader(height, width, height_at, one_scan)


def decode_region(
    data: bytes, header: JpegHeader, box: Box, size: tuple[int, int], check_full_file: bool = False
) -> np.ndarray | None:
    """Decode the crop ``box`` to BGR (h, w, 3), or return None if the decoder reports an error.

    The crop is decoded at 1/2 or 1/4 of its size if it then has at least ``size`` (H, W) pixels.
    At full size, the pixels are those of the full image. The next call may overwrite the memory of
    the result.

    Args:
        data: content of the file.
        header: header of ``data``.
        box: crop inside the image.
        size: (H, W) that the crop will be resized to.
        check_full_file: decode the rows below the crop as well. Most faults from overwritten
            bytes are found only at the end of the image, where data are missing or left over.
    """
    scale = next((s for s in SCALES if box.height >= s * size[0] and box.width >= s * size[1]), 1)
    rows = min(header.height, box.top + box.height + _CONTEXT_ROWS * scale)
    ends_early = rows < header.height and header.can_end_early and not check_full_file
    if ends_early:
        # the header is changed to end the image where the crop ends
        at = header.height_at
        data = data[:at] + rows.to_bytes(2, "big") + data[at + 2 :]
    else:
        rows = header.height
    shape = (-(-rows // scale), -(-header.width // scale), 3)
    memory = _scratch.take(shape[0] * shape[1] * 3)
    try:
        simplejpeg.decode_jpeg(
            data,
            "BGR",
            min_height=shape[0] if scale > 1 else 0,
            min_width=shape[1] if scale > 1 else 0,
            min_factor=min(scale, 2),
            buffer=memory,
        )
    except ValueError as error:  # the buffer contains all rows up to the error
        if not ends_early or not _ENDED_EARLY.search(str(error)):
            return None
    image = memory[: shape[0] * shape[1] * 3].reshape(shape)
    top, left, height, width = box
    return image[
        top // scale : -(-(top + height) // scale), left // scale : -(-(left + width) // scale)
    ]
