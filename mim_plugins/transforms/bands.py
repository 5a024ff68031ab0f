"""Reading of images of any number of bands and any type of numbers."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from .band_files import RawBands, read_raw_bands
from .decode import MAX_PIXELS, corruption

AXES = ("first", "last")
_COLORS = 3


class BandImage(NamedTuple):
    """Image of several bands with its missing values."""

    pixels: np.ndarray
    """(H, W, C) in the order of the file, uint8 or float32."""
    missing: np.ndarray | None
    """Bool (H, W, C), True = no value; None if there are all values."""
    dtype: np.dtype
    """Type of the numbers in the file, or of numbers on the same scale."""


class Bands:
    """Settings with which images of several bands are read.

    The bands have the order of the file: RGB in color images, and alpha is a band. The numbers are
    those of the file. 8-bit images stay 8-bit, and all other numbers become float32, which is exact
    up to 24 bits. NaN, infinities and the value that stands for no data are missing values.

    The band axis of an array or TIFF file is the one that the file declares, or else the first or
    last axis if it has ``channels`` elements. If both have, ``axes`` decides.

    Args:
        channels: number of bands; images with another number are refused.
        fill: one number per band, such as the means, or one for all, which replaces missing values.
            Without it, images with missing values are refused.
        nodata: number that stands for no data, in addition to NaN, infinities and those that
            GeoTIFF and DICOM files declare.
        axes: ``'first'`` for arrays (C, H, W), ``'last'`` for (H, W, C); None follows the rule.

    Raises:
        ConfigError: an argument has a value that is not allowed.
    """

    def __init__(
        self,
        channels: int,
        fill: float | Sequence[float] | None = None,
        nodata: float | None = None,
        axes: str | None = None,
    ) -> None:
        if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
            raise ConfigError(f"bands: channels={channels!r} must be a number of bands, such as 13")
        if axes is not None and axes not in AXES:
            raise ConfigError(f"bands: axes={axes!r} must be one of {AXES}, or None")
        if nodata is not None and not _is_number(nodata):
            raise ConfigError(f"bands: nodata={nodata!r} must be a number, such as -9999, or None")
        self.channels = channels
        self.nodata = nodata
        self.axes = axes
        self.fill = None if fill is None else self._checked_fill(fill)

    def _checked_fill(self, fill: float | Sequence[float]) -> np.ndarray:
        given = list(fill) if isinstance(fill, (Sequence, np.ndarray)) else [fill]
        numbers = np.array([each if _is_number(each) else np.nan for each in given], np.float64)
        if numbers.shape not in ((1,), (self.channels,)) or not np.isfinite(numbers).all():
            raise ConfigError(
                f"bands: fill={fill!r} must be one finite number, or one for each of"
                f" channels={self.channels}"
            )
        return numbers

    def decode(self, data: bytes, path: str = "") -> np.ndarray:
        """Decode a file to (H, W, C), uint8 or float32, without missing values.

        Three bands are reversed, as all loading transforms of OpenMMLab do: RGB becomes BGR.

        Raises:
            CorruptImageError: the file cannot be decoded, has another number of bands, or has
                missing values without ``fill``.
            ConfigError: a package that reads the format is not installed.
        """
        return self.complete(self.read(data, path), path)

    def read(self, data: bytes, path: str = "") -> BandImage:
        """Decode a file with its missing values; see :meth:`decode`."""
        return self.arrange(read_raw_bands(data, path), path)

    def complete(self, image: BandImage, path: str) -> np.ndarray:
        """Return the pixels with missing values filled, three bands reversed."""
        pixels, missing, _ = image
        if missing is not None:
            if self.fill is None:
                raise corruption(
                    path,
                    "unsupported",
                    f"{int(missing.sum())} of {missing.size} values are NaN, infinite or no data;"
                    " set fill of the loading transform's bands to one number per band, such as"
                    " the means",
                )
            fill = self.fill.round().clip(0, 255) if pixels.dtype == np.uint8 else self.fill
            pixels = np.where(missing, fill.astype(pixels.dtype), pixels)
        return np.ascontiguousarray(pixels[..., ::-1]) if self.channels == _COLORS else pixels

    def arrange(self, raw: RawBands, path: str) -> BandImage:
        """Order the axes and numbers of a decoded file, and find its missing values.

        Raises:
            CorruptImageError: see :meth:`decode`.
        """
        pixels = self._bands_last(raw, path)
        pixel_count = pixels.shape[0] * pixels.shape[1]
        if not 0 < pixel_count <= MAX_PIXELS:
            kind = "too large" if pixel_count else "unsupported"
            raise corruption(path, kind, f"{pixel_count} pixels")
        if pixels.dtype.kind not in "uif":
            raise corruption(
                path,
                "unsupported",
                f"numbers of type {pixels.dtype}; save integers or floats, without pickled objects",
            )
        own = None if self.nodata is None else (self.nodata, self.nodata)
        missing = _either(_within(pixels, raw.nodata), _within(pixels, own))
        dtype = pixels.dtype
        if dtype != np.uint8:
            with np.errstate(over="ignore"):  # beyond float32 is infinite, and so missing
                pixels = pixels.astype(np.float32)
            infinite = ~np.isfinite(pixels)
            missing = _either(missing, infinite if infinite.any() else None)
        if missing is not None and missing.all():
            raise corruption(path, "unsupported", "all values are NaN, infinite or no data")
        return BandImage(np.ascontiguousarray(pixels), missing, raw.scale or dtype)

    def _bands_last(self, raw: RawBands, path: str) -> np.ndarray:
        """Return the pixels as (H, W, C) with ``channels`` bands."""
        pixels, axis = raw.pixels, raw.band_axis
        if pixels.ndim == 2:
            pixels, axis = pixels[..., None], 2
        if pixels.ndim != 3:
            raise corruption(
                path,
                "unsupported",
                f"shape {pixels.shape}; expected (H, W), (H, W, C) or (C, H, W)",
            )
        if axis is None:
            axis = self._axis_by_length(pixels.shape, path)
        if pixels.shape[axis] != self.channels:
            raise corruption(
                path,
                "wrong bands",
                f"shape {pixels.shape} has {pixels.shape[axis]} bands, but"
                f" channels={self.channels}; set the number of bands of the files, and give all"
                " files the same",
            )
        return np.moveaxis(pixels, axis, -1)

    def _axis_by_length(self, shape: tuple[int, ...], path: str) -> int:
        fits = [axis for axis in (0, 2) if shape[axis] == self.channels]
        if self.axes is not None:
            return 0 if self.axes == "first" else 2
        if len(fits) == 2:
            raise corruption(
                path,
                "unsupported",
                f"shape {shape} has {self.channels} elements on both ends; set axes='first' or"
                " 'last' of the loading transform's bands",
            )
        return fits[0] if fits else min((0, 2), key=lambda axis: shape[axis])


def _is_number(value: object) -> bool:
    return isinstance(value, (Real, np.number)) and not isinstance(value, bool)


def _either(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    """Return where one of two masks is True; None is True nowhere."""
    if first is None or second is None:
        return second if first is None else first
    return first | second


def _within(pixels: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray | None:
    """Return where the pixels are within ``limits``, both included, or None if nowhere."""
    if limits is None or any(map(math.isnan, limits)):
        return None
    lowest, highest = limits
    if pixels.dtype.kind in "iu":
        known = np.iinfo(pixels.dtype)
        if lowest > known.max or highest < known.min:
            return None
        lowest, highest = math.ceil(max(lowest, known.min)), math.floor(min(highest, known.max))
        found = (pixels >= lowest) & (pixels <= highest)
    else:
        with np.errstate(over="ignore"):
            found = (pixels >= pixels.dtype.type(lowest)) & (pixels <= pixels.dtype.type(highest))
    return found if found.any() else None
