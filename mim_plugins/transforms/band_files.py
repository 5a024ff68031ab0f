"""Files of several bands, read to the numbers that they contain."""

import io
import math
import re
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..errors import ConfigError, UserError
from ..file_names import printable
from .decode import MAX_PIXELS, corruption, decode_unchanged
from .orientation import UPRIGHT, turn_upright
from .tiff_samples import TIFF

_DICOM, _DICOM_AT = b"DICM", 128
_NUMPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_GDAL_NODATA, _ORIENTATION = 42113, 274
# TIFF's PhotometricInterpretation whose numbers are not those of bands
_NO_BANDS = {0: "white is 0", 3: "the numbers are indices of a palette", 6: "the colors are YCbCr"}
_YCBCR, _JPEG = 6, (6, 7)  # tifffile converts the colors of compressed JPEG data
_LARGEST = 8 * MAX_PIXELS  # bytes of the numbers of one file
_DECLARED = "SC"  # tifffile's letters of the axes of samples and channels


class RawBands(NamedTuple):
    """Numbers of a file."""

    pixels: np.ndarray
    """Of two axes, or of three with the bands in one of them."""
    band_axis: int | None
    """Axis of the bands if the file declares it."""
    nodata: tuple[float, float] | None
    """Lowest and highest of the numbers that stand for no data if the file declares them."""
    scale: np.dtype | None = None
    """Type of numbers on the same scale; None is that of the pixels."""


def read_raw_bands(data: bytes, path: str = "") -> RawBands:
    """Decode a TIFF, NumPy or DICOM file, or any image that OpenCV reads, by content.

    Args:
        data: content of the file.
        path: path of the file, for messages.

    Raises:
        CorruptImageError: the content cannot be decoded.
        ConfigError: the package that reads the format is not installed.
    """
    if data.startswith(TIFF):
        return _read_tiff(data, path)
    if data[_DICOM_AT : _DICOM_AT + len(_DICOM)] == _DICOM:
        return _read_dicom(data, path)
    if data.startswith((_NUMPY, _ZIP)):
        return RawBands(_read_numpy(data, path), None, None)
    pixels = decode_unchanged(data, path)
    return RawBands(pixels, 2 if pixels.ndim == 3 else None, None)


def _read_numpy(data: bytes, path: str) -> np.ndarray:
    try:
        content = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        names = content.files
        _check_size(sum(each.file_size for each in content.zip.infolist()), path)
        only = content[names[0]] if len(names) == 1 else None
        if isinstance(only, np.ndarray):  # other members of the zip file are bytes
            return only
    except UserError:
        raise
    except MemoryError as error:
        raise corruption(path, "too large", "not enough memory") from error
    except Exception as error:  # zipfile and NumPy raise many types
        message = " ".join(str(error).split())
        if "allow_pickle" in message:
            cause = "an array of objects, which may contain code; save numbers instead"
            raise corruption(path, "unsupported", cause) from error
        raise corruption(path, _kind(message), message) from error
    found = f"{len(names)} arrays ({', '.join(names[:4])})" if names[1:] else "no array"
    raise corruption(path, "unsupported", f"it has {found}; save one array per file")


def _read_tiff(data: bytes, path: str) -> RawBands:
    tifffile = _package("tifffile", "TIFF files of several bands", "bands", path)
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            series = _only_image(file, path)
            page = series.keyframe
            reason = _NO_BANDS.get(int(page.photometric))
            if reason and not (page.photometric == _YCBCR and page.compression in _JPEG):
                raise corruption(path, "unsupported", f"{reason}; convert the file to bands")
            _check_size(series.size * series.dtype.itemsize, path)
            pixels, axes = series.asarray(), series.axes
            tags = {number: page.tags.get(number) for number in (_GDAL_NODATA, _ORIENTATION)}
            nodata, orientation = (tag.value if tag else None for tag in tags.values())
    except UserError:
        raise
    except MemoryError as error:
        raise corruption(path, "too large", "not enough memory") from error
    except Exception as error:  # tifffile and the codecs raise many types
        message = " ".join(str(error).split())
        if "imagecodecs" in message:
            raise ConfigError(
                f"'{printable(path)}': {message}: pip install 'mim_plugins[bands]'"
            ) from error
        raise corruption(path, _kind(message), message) from error
    others = [axis for axis, letter in enumerate(axes) if letter not in "YX"]
    declared = len(others) == 1 and axes[others[0]] in _DECLARED
    pixels = _upright(pixels, axes, orientation)
    number = _number(nodata)
    nodata_range = None if number is None else (number, number)
    return RawBands(pixels, others[0] if declared else None, nodata_range)


def _only_image(file: Any, path: str) -> Any:
    """Return the image of a TIFF file; reduced versions and masks of it are ignored."""
    series = [
        each for each in file.series if not (each.keyframe.is_reduced or each.keyframe.is_mask)
    ]
    if len(series) != 1:
        shapes = ", ".join(str(each.shape) for each in series[:4])
        raise corruption(
            path,
            "unsupported",
            f"it has {len(series)} images of several shapes ({shapes}); save one per file",
        )
    return series[0]


def _upright(pixels: np.ndarray, axes: str, orientation: Any) -> np.ndarray:
    """Apply the orientation of a TIFF file to all bands."""
    if orientation not in range(UPRIGHT + 1, 9) or not {"Y", "X"} <= set(axes):
        return pixels
    rows, columns = axes.index("Y"), axes.index("X")
    planes = np.moveaxis(pixels, (rows, columns), (-2, -1))
    turned = [turn_upright(plane, orientation) for plane in planes.reshape(-1, *planes.shape[-2:])]
    stacked = np.stack(turned).reshape(*planes.shape[:-2], *turned[0].shape)
    return np.moveaxis(stacked, (-2, -1), (rows, columns))


def _read_dicom(data: bytes, path: str) -> RawBands:
    pydicom = _package("pydicom", "DICOM files", "dicom", path)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        color = str(dataset.get("PhotometricInterpretation", ""))
        frames = int(dataset.get("NumberOfFrames") or 1)
        if frames > 1 or color.startswith("PALETTE"):
            cause = f"{frames} frames" if frames > 1 else "indices of a palette"
            raise corruption(path, "unsupported", f"it has {cause}; save one image per file")
        values = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
        _check_size(values * int(dataset.BitsAllocated) // 8, path)
        pixels = pydicom.pixels.pixel_array(dataset)
        stored = pixels.dtype
        padding = _padding(dataset, stored)
        if color == "MONOCHROME1":  # black is the highest number
            # the sum of the lowest and the highest number
            ends = -1 if stored.kind == "i" else (1 << int(dataset.BitsStored)) - 1
            pixels = (ends - pixels.astype(np.int64)).astype(stored)
            padding = ends - padding
        slope, offset = (
            float(dataset.get(name) or default)
            for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        if (slope, offset) != (1, 0):
            pixels, padding = pixels * slope + offset, padding * slope + offset
    except UserError:
        raise
    except Exception as error:  # pydicom and its plugins raise many types
        message = " ".join(str(error).split())
        if "missing dependencies" in message:
            raise ConfigError(
                f"'{printable(path)}': {message}: pip install 'pylibjpeg[all]'"
            ) from error
        raise corruption(path, _kind(message), message) from error
    nodata = (float(padding.min()), float(padding.max())) if padding.size else None
    return RawBands(pixels, 2 if pixels.ndim == 3 else None, nodata, _scale(stored, pixels.dtype))


def _scale(stored: np.dtype, read: np.dtype) -> np.dtype:
    """Return one type for all numbers of DICOM files of as many bits.

    Series contain files with and without a sign or a rescale slope, whose numbers have one unit.
    8-bit images that stay 8-bit differ, because a batch has one type.
    """
    is_wide = stored.kind in "iu" and stored.itemsize > 1
    return np.dtype(f"u{stored.itemsize}") if is_wide else read


def _padding(dataset: Any, dtype: np.dtype) -> np.ndarray:
    """Return both ends of the range of the stored numbers that are padding, empty if none."""
    for kind in ("", "Float", "DoubleFloat"):
        value = dataset.get(f"{kind}PixelPaddingValue")
        if value is not None:
            limit = dataset.get(f"{kind}PixelPaddingRangeLimit")
            ends = np.array([value, value if limit is None else limit], np.float64)
            # some files declare the bits of a negative number as an unsigned one
            is_unsigned = dtype == np.int16 and ends.max() > np.iinfo(dtype).max
            return np.where(ends >= 1 << 15, ends - (1 << 16), ends) if is_unsigned else ends
    return np.array([])


def _package(name: str, reads: str, extra: str, path: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"'{printable(path)}': {reads} need the package {name}:"
            f" pip install 'mim_plugins[{extra}]'"
        ) from error


def _check_size(size: int, path: str) -> None:
    """Refuse a file whose numbers take more bytes, before it is decompressed."""
    if size > _LARGEST:
        raise corruption(path, "too large", f"{size} bytes of numbers, more than {_LARGEST}")


def _kind(message: str) -> str:
    cut = re.search(r"truncated|failed to read|end of|less than expected", message, re.IGNORECASE)
    return "truncated" if cut else "corrupt"


def _number(text: Any) -> float | None:
    try:
        number = float(str(text).strip("\0 "))
    except ValueError:
        return None
    return None if math.isnan(number) else number
