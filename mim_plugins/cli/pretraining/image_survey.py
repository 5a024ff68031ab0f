"""Number and sizes of the images in folders."""

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ...datasets.channel_statistics import ChannelStatistics, channel_statistics
from ...datasets.image_files import find_images, suffixes_read
from ...errors import DataNotFoundError
from ...file_names import printable
from ...sampling import evenly_spaced
from ...transforms import Bands

_PROBED = 32  # images whose size is read
_MEASURED = 256  # images of several bands whose mean and standard deviation are computed


class ImageSurvey(NamedTuple):
    """Images of a run."""

    folders: tuple[str, ...]
    """The folders that contain them, absolute."""
    images: int
    """Their number."""
    short_side: int
    """Median of the short sides, in pixels, of evenly spaced images."""
    statistics: ChannelStatistics | None = None
    """Mean and standard deviation of evenly spaced images with ``channels``."""


def survey_images(data: Sequence[str | os.PathLike], channels: int | None = None) -> ImageSurvey:
    """Count the images in folders, and read the sizes of a few.

    A folder ``train`` directly below a folder is read instead of it. With ``channels``, files of
    bands are images, too, and evenly spaced ones are measured.

    Raises:
        DataNotFoundError: a folder does not exist, contains no images, or none can be read; with
            ``channels``, see :func:`channel_statistics`.
        ConfigError: ``channels`` is not a number of bands, or a package is missing.
    """
    bands = None if channels is None else Bands(channels)
    folders, paths = [], []
    for each in data:
        folder = Path(each).expanduser().absolute()
        if not folder.is_dir():
            kind = "is not a folder" if folder.exists() else "does not exist"
            raise DataNotFoundError(
                f"data '{printable(each)}' {kind}: give a folder of images, of any depth"
            )
        if not _is_text(str(folder)):
            raise DataNotFoundError(
                f"data '{printable(each)}': the folder's name is not UTF-8; rename it, or use a"
                " link to it (ln -s)"
            )
        folder = folder / "train" if (folder / "train").is_dir() else folder
        found = find_images(folder, suffixes_read(bands))
        if not found:
            raise DataNotFoundError(f"data '{printable(each)}' contains no images")
        folders.append(str(folder))
        paths += found
    if channels is not None:
        measured = [paths[index] for index in evenly_spaced(len(paths), _MEASURED)]
        found_statistics = channel_statistics(measured, dict(channels=channels))
        short_side = int(statistics.median(found_statistics.short_sides))
        return ImageSurvey(tuple(folders), len(paths), short_side, found_statistics)
    sides = [_short_side(paths[index]) for index in evenly_spaced(len(paths), _PROBED)]
    readable = [side for side in sides if side]
    if not readable:
        raise DataNotFoundError(
            f"data: none of {len(sides)} images can be read, such as '{printable(paths[0])}';"
            " tools/misc/check_dataset.py finds the cause; --channels reads images of other kinds"
            " than 8-bit colors"
        )
    return ImageSurvey(tuple(folders), len(paths), int(statistics.median(readable)))


def _is_text(name: str) -> bool:
    """Return whether a name can be written to a config file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short_side(path: str) -> int:
    """Return the shorter side of an image, 0 if its header cannot be read."""
    try:
        with Image.open(path) as image:
            return min(image.size)
    except (OSError, SyntaxError, ValueError):
        return 0
