"""Deterministic replacement of samples with corrupt images, with a record of each."""

import math
import os
from collections.abc import Callable
from typing import Any

from mmengine.structures import BaseDataElement

from ..errors import CorruptImageError, UserError
from ..transforms.load_image import reader_after_failure
from .wrappers import base_sample

ON_CORRUPT = ("replace", "stop")
MAX_ATTEMPTS = 20
RECORD = "corrupt_images"


def replacement_index(index: int, attempt: int, length: int) -> int:
    """Return the index of the sample that replaces ``index`` at an attempt, counted from 1.

    The index depends on the arguments alone, so every run, resumed or not, with any number of
    workers, uses the same samples. Strides of about 0.382 * ``length`` leave the neighborhood of
    the corrupt image, where more corrupt images are likely, and reach every other sample once
    before any is repeated.
    """
    stride = max(1, round(0.381966 * length))
    while math.gcd(stride, length) != 1:
        stride += 1
    return (index + attempt * stride) % length


def prepare_or_replace(
    prepare: Callable[[int], Any], index: int, length: int, max_attempts: int = MAX_ATTEMPTS
) -> Any:
    """Return ``prepare(index)``, or another sample if its image is corrupt.

    The metainfo ``corrupt_images`` of a replacement maps the paths of the corrupt images to
    messages, for :class:`CorruptImageHook`.

    Args:
        prepare: loads and transforms the sample of an index into ``dict(inputs, data_samples)``.
        index: index of the requested sample.
        length: length of the data set.
        max_attempts: number of samples to try.

    Raises:
        CorruptImageError: ``max_attempts`` successive samples are corrupt, or the sample has no
            ``data_samples`` for the record.
    """
    corrupt: dict[str, str] = {}
    for attempt in range(max_attempts):
        try:
            sample = prepare(replacement_index(index, attempt, length) if attempt else index)
        except CorruptImageError as error:
            corrupt[error.path] = str(error)
            continue
        if corrupt:
            _record(sample, corrupt)
        return sample
    raise CorruptImageError(
        f"{len(corrupt)} successive corrupt images instead of sample {index}, the last one:"
        f" {list(corrupt.values())[-1]}. tools/misc/check_dataset.py lists all corrupt images"
    )


def prepare_or_name_cause(prepare: Callable[[int], Any], index: int, dataset: Any) -> Any:
    """Return ``prepare(index)``, or raise CorruptImageError if its image is corrupt.

    Loading transforms raise many types of errors, some without the path. The image is corrupt if
    the loading transform fails again, and ``mim_plugins.LoadImage``, with its ``backend_args``,
    cannot read the file either.

    Args:
        prepare: see :func:`prepare_or_replace`.
        index: index of the sample.
        dataset: MMEngine data set with the annotation of the sample; it may be wrapped.

    Raises:
        CorruptImageError: the image is corrupt. Other errors propagate, such as those of later
            transforms.
    """
    try:
        return prepare(index)
    except UserError:
        raise
    except Exception as error:
        cause = _loading_error(*base_sample(dataset, index))
        if cause is None:
            raise
        raise cause from error


def _loading_error(dataset: Any, index: int) -> UserError | None:
    """Return the error of reading the image of a sample that its pipeline cannot load."""
    if not hasattr(dataset, "get_data_info"):
        return None
    info = dataset.get_data_info(index)
    path = info.get("img_path")
    read = reader_after_failure(getattr(dataset, "pipeline", None), info)
    if read is None or not isinstance(path, (str, os.PathLike)):
        return None
    try:
        read(dict(img_path=path))
    except UserError as error:
        return error
    except Exception:  # of a file backend; the pipeline's own error is as good
        return None
    return None


def check_on_corrupt(name: str, on_corrupt: str) -> None:
    """Raise ValueError if ``on_corrupt`` is not a choice of the data set class ``name``."""
    if on_corrupt not in ON_CORRUPT:
        raise ValueError(f"{name}: on_corrupt={on_corrupt!r} must be one of {ON_CORRUPT}")


def _record(sample: Any, corrupt: dict[str, str]) -> None:
    carrier = sample.get("data_samples") if isinstance(sample, dict) else None
    if not isinstance(carrier, BaseDataElement):
        raise CorruptImageError(
            f"{next(iter(corrupt.values()))}; it cannot be replaced because the output of the"
            " pipeline has no data_samples for the record: end the pipeline with PackInputs"
        )
    carrier.set_metainfo({RECORD: corrupt})
