"""Number and sizes of the images of a run."""

import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...archives import HUB, image_exists
from ...datasets.archive_images import archive_images
from ...datasets.archive_places import (
    ArchivePlace,
    describe_foreign,
    describe_unread,
    is_archive_place,
)
from ...datasets.channel_statistics import ChannelStatistics, channel_statistics
from ...datasets.image_files import suffixes_read
from ...datasets.image_lists import read_image_list
from ...datasets.image_places import is_list
from ...datasets.mixture_sampler import mixed_count
from ...datasets.split_places import find_split
from ...datasets.splits import normal_split, plain_split
from ...errors import ConfigError, CorruptImageError, DataNotFoundError, SplitError
from ...file_names import printable
from ...sampling import evenly_spaced
from ...transforms import Bands, LoadImage
from ...transforms.orientation import is_transposed, read_orientation
from ...transforms.pillow_header import open_header

_PROBED = 32  # images whose size is read
_MEASURED = 256  # images of several bands whose mean and standard deviation are computed
_WEIGHTED = re.compile(r"(.+):(\d+\.?\d*|\.\d+)", re.DOTALL)


class DataPart(NamedTuple):
    """Folder, list or archive of a run."""

    root: str
    """Folder or archive, absolute."""
    split: str = ""
    """Split to read of archives that contain several."""
    ann_file: str = ""
    """List of images, absolute."""
    weight: float = 1.0
    """Mean number of times that an epoch contains each image."""


class ImageSurvey(NamedTuple):
    """Images of a run."""

    parts: tuple[DataPart, ...]
    """The data that contain them."""
    images: int
    """Their number in an epoch."""
    short_side: int
    """Median of the short sides, in pixels, of evenly spaced images."""
    aspect_ratio: float = 1.0
    """Median of width / height of the same images."""
    statistics: ChannelStatistics | None = None
    """Mean and standard deviation of evenly spaced images with ``channels``."""


def survey_images(
    data: Sequence[str | os.PathLike], channels: int | None = None, split: str = "train"
) -> ImageSurvey:
    """Count the images of folders, lists and archives, and read the sizes of a few.

    Only a split is read, see :func:`find_split`. ``DATA:2`` gives the images the weight 2. With
    ``channels``, files of bands are images, too, and evenly spaced ones are measured.

    Raises:
        DataNotFoundError: a place does not exist, contains no images, or only other splits or
            unclear ones, or none can be read; with ``channels``, see :func:`channel_statistics`.
        ArchiveError: an archive is corrupt.
        ConfigError: a weight is not usable, ``channels`` is not a number of bands, or a package is
            missing.
    """
    suffixes = suffixes_read(None if channels is None else Bands(channels))
    parts, paths, images = [], [], 0
    for each in data:
        part, found = _survey_part(os.fspath(each), suffixes, split)
        parts.append(part)
        paths += found
        try:
            images += mixed_count(len(found), part.weight)
        except ValueError as error:
            raise ConfigError(f"data '{printable(each)}': {error}") from error
    if channels is not None:
        measured = [paths[index] for index in evenly_spaced(len(paths), _MEASURED)]
        found_statistics = channel_statistics(measured, dict(channels=channels))
        medians = _medians(found_statistics.shapes)
        return ImageSurvey(tuple(parts), images, *medians, found_statistics)
    shapes = [_shape(paths[index]) for index in evenly_spaced(len(paths), _PROBED)]
    readable = [shape for shape in shapes if shape is not None]
    if not readable:
        hint = (
            "--channels reads images of other kinds than 8-bit colors"
            if image_exists(paths[0])
            else "paths in a list are relative to the folder of the list"
        )
        raise DataNotFoundError(
            f"data: none of {len(shapes)} images can be read; the first: {_cause(paths[0])}; {hint}"
        )
    return ImageSurvey(tuple(parts), images, *_medians(readable))


def _medians(shapes: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """Return the medians of the short side and of width / height of images (H, W)."""
    ratios = [width / height for height, width in shapes]
    return int(statistics.median(map(min, shapes))), statistics.median(ratios)


def _survey_part(given: str, suffixes: Sequence[str], split: str) -> tuple[DataPart, list[str]]:
    """Return a part of the data and the addresses of its images."""
    place, weight = _split_weight(given)
    if not place.startswith(HUB):
        place = str(Path(place).expanduser().absolute())
    if not _is_text(place):
        raise DataNotFoundError(
            f"data '{printable(given)}': the name is not UTF-8; rename it, or use a link to it"
            " (ln -s)"
        )
    if is_list(place):
        part = DataPart(os.path.dirname(place), ann_file=place)
        found = read_image_list(place, part.root)
    elif is_archive_place(place) or os.path.isdir(place):
        try:
            at = find_split(place, split, suffixes)
            if isinstance(at, ArchivePlace):
                part, found = DataPart(place, split), archive_images(at, suffixes=suffixes).paths
            else:
                found = at.paths
                is_one = len(at.folders) == 1
                part = DataPart(at.folders[0]) if is_one else DataPart(place, split)
        except SplitError as error:
            is_train = plain_split(normal_split(split)) == "train"
            every = "; --split '' reads all" if is_train else ""
            raise DataNotFoundError(f"data {error}{every}") from error
    else:
        raise DataNotFoundError(f"data '{printable(given)}' {describe_unread(place)}")
    if not found:
        foreign = describe_foreign(place)
        raise DataNotFoundError(f"data '{printable(given)}' contains no images{foreign}")
    return part._replace(weight=weight), found


def _split_weight(data: str) -> tuple[str, float]:
    """Return the parts of ``PATH:WEIGHT``, and 1 as the weight of anything else."""
    found = _WEIGHTED.fullmatch(data)
    if found is None or os.path.exists(os.path.expanduser(data)):
        return data, 1.0
    return found[1], float(found[2])


def _is_text(name: str) -> bool:
    """Return whether a name can be written to a config file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cause(path: str) -> str:
    """Return why an image cannot be read."""
    try:
        LoadImage()(dict(img_path=path))
    except CorruptImageError as error:
        return error.summary
    return f"'{printable(path)}' has no header that Pillow reads"


def _shape(path: str) -> tuple[int, int] | None:
    """Return (H, W) of an upright image, None if its header cannot be read."""
    try:
        data = LoadImage().read(path)
        with open_header(data) as image:
            width, height = image.size
    except Exception:  # Pillow raises many types for corrupt headers
        return None
    return (width, height) if is_transposed(read_orientation(data)) else (height, width)
