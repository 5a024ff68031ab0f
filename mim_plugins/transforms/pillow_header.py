"""Headers of image files of any size, read by Pillow."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_lock = threading.Lock()


@contextmanager
def without_size_limit() -> Iterator[None]:
    """Let Pillow open images above ``Image.MAX_IMAGE_PIXELS`` within the block.

    The block must read headers only, because the variable is that of the whole process.
    """
    with _lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def open_header(data: bytes) -> Image.Image:
    """Open an image file of any size with Pillow, which decodes pixels only when they are used.

    The decoders of this package have a limit above that of Pillow.

    Raises:
        UnidentifiedImageError: Pillow cannot read the format.
        Exception: the header is corrupt; Pillow raises many types.
    """
    with without_size_limit():
        return Image.open(io.BytesIO(data))
