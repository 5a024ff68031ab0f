"""Suffixes by which the images in a pack are found, from the contents of the files."""

import re

from mim_plugins.datasets.image_files import BAND_SUFFIXES

_JPEG_SUFFIXES = (".jpg", ".jpeg")
_BEGINNINGS = {
    ".jpg": rb"\xff\xd8\xff",
    ".png": rb"\x89PNG",
    ".webp": rb"RIFF....WEBP",
    ".gif": rb"GIF8",
    ".bmp": rb"BM",
    ".pgm": rb"P[25][\s#]",
    ".ppm": rb"P[36][\s#]",
    ".dcm": rb".{128}DICM",
    ".tif": rb"II[*+]\0|MM\0[*+]",
    ".npy": rb"\x93NUMPY",
    ".npz": rb"PK\x03\x04",
}
_FORMATS = {suffix: re.compile(start, re.DOTALL) for suffix, start in _BEGINNINGS.items()}


def with_suffix_of(name: str, data: bytes) -> str | None:
    """Return a name that ends in a suffix of the content's format, which rows of tables lack.

    None means that the name has no suffix of an image, and that the format has none that is read.
    """
    is_jpeg = _FORMATS[".jpg"].match(data) is not None
    if name.lower().endswith(_JPEG_SUFFIXES if is_jpeg else BAND_SUFFIXES):
        return name
    found = (suffix for suffix, beginning in _FORMATS.items() if beginning.match(data))
    suffix = next(found, None)
    return None if suffix is None else f"{name}{suffix}"
