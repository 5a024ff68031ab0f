"""Mean and standard deviation of each channel of images."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..errors import CorruptImageError, DataNotFoundError
from ..transforms import LoadImage
from ..transforms.bands import BandImage

_BLOCK = 1 << 22  # values that are processed at a time


class ChannelStatistics(NamedTuple):
    """Statistics over all values of all images that are not missing."""

    mean: list[float]
    """Per channel, in the order of the file: RGB in color images."""
    std: list[float]
    """Standard deviation of the population, per channel."""
    low: list[float]
    """Smallest value, per channel."""
    high: list[float]
    """Largest value, per channel."""
    missing: float
    """Share of values that are NaN, infinite or no data."""
    images: int
    """Number of images that were read."""
    shapes: list[tuple[int, int]]
    """(H, W) of each of them, in pixels."""
    corrupt: list[str]
    """Messages on the images that could not be read."""


def channel_statistics(paths: Iterable[str], bands: dict | None = None) -> ChannelStatistics:
    """Compute the statistics of image files, one at a time, in float64.

    Every pixel has the same weight. Missing values are left out, and so are images that cannot be
    read.

    Args:
        paths: image files.
        bands: arguments of :class:`Bands`; None reads 8-bit RGB.

    Raises:
        DataNotFoundError: no image can be read, some have another number of bands or another type
            of numbers than the others, or a channel has no value or a single one everywhere.
        ConfigError: a package that reads the format is not installed.
    """
    load, moments = LoadImage(bands=bands), _Moments()
    kinds: Counter[str] = Counter()
    shapes: list[tuple[int, int]] = []
    corrupt: list[str] = []
    wrong: list[str] = []
    for path in paths:
        try:
            image = load.read_bands(path)
        except CorruptImageError as error:
            (wrong if error.kind == "wrong bands" else corrupt).append(str(error))
            continue
        moments.add(image)
        kinds[_kind(image.dtype)] += 1
        shapes.append((image.pixels.shape[0], image.pixels.shape[1]))
    if wrong:
        raise DataNotFoundError(
            f"data: {len(wrong)} of {len(wrong) + len(shapes) + len(corrupt)} images have another"
            f" number of bands: {wrong[0]}"
        )
    if not shapes:
        first = corrupt[0] if corrupt else "there are none"
        raise DataNotFoundError(f"data: no image can be read: {first}")
    if len(kinds) > 1:
        found = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
        raise DataNotFoundError(
            f"data: images have several types of numbers ({found}), whose scales differ; convert"
            " them to one type"
        )
    std = moments.std()
    constant = np.flatnonzero(~(std > 0))
    if constant.size:
        raise DataNotFoundError(
            f"data: channel {constant[0]} (counted from 0) has one value everywhere, or none, so it"
            " cannot be normalized; leave it out of the files"
        )
    return ChannelStatistics(
        moments.mean.tolist(),
        std.tolist(),
        moments.low.tolist(),
        moments.high.tolist(),
        moments.missing / moments.values,
        len(shapes),
        shapes,
        corrupt,
    )


class _Moments:
    """Count, mean and sum of squared deviations per channel (Chan, Golub and LeVeque, 1983)."""

    def __init__(self) -> None:
        self.count: np.ndarray = np.zeros(1)
        self.mean: np.ndarray = np.zeros(1)
        self.squares: np.ndarray = np.zeros(1)
        self.low: np.ndarray = np.full(1, np.inf)
        self.high: np.ndarray = np.full(1, -np.inf)
        self.missing = self.values = 0

    def add(self, image: BandImage) -> None:
        """Add the pixels of an image, in blocks of rows that bound the memory."""
        rows, columns, channels = image.pixels.shape
        step = max(1, _BLOCK // (columns * channels))
        for start in range(0, rows, step):
            block = image.pixels[start : start + step].reshape(-1, channels).astype(np.float64)
            missing = None
            if image.missing is not None:
                missing = image.missing[start : start + step].reshape(block.shape)
            self._add_block(block, missing)

    def _add_block(self, pixels: np.ndarray, missing: np.ndarray | None) -> None:
        valid = np.ones(pixels.shape, bool) if missing is None else ~missing
        self.values += pixels.size
        self.missing += pixels.size - int(valid.sum())
        count = valid.sum(axis=0).astype(np.float64)
        pixels = np.where(valid, pixels, 0)
        mean = pixels.sum(axis=0) / np.maximum(count, 1)
        squares = np.where(valid, pixels - mean, 0)
        total, change = self.count + count, mean - self.mean
        share = count / np.maximum(total, 1)
        between = np.square(change) * self.count * share
        self.squares = self.squares + np.square(squares).sum(axis=0) + between
        self.mean = self.mean + change * share
        self.count = total
        self.low = np.minimum(self.low, pixels.min(axis=0, where=valid, initial=np.inf))
        self.high = np.maximum(self.high, pixels.max(axis=0, where=valid, initial=-np.inf))

    def std(self) -> np.ndarray:
        return np.sqrt(self.squares / np.maximum(self.count, 1))


def _kind(dtype: np.dtype) -> str:
    return "floats" if dtype.kind == "f" else str(dtype.newbyteorder("="))
