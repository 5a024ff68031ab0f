"""Replacing the samples of damaged images by others, by a rule and on record."""

import math
from collections.abc import Callable
from typing import Any

from mmengine.structures import BaseDataElement

from ..errors import CorruptImageError

ON_DAMAGE = ("replace", "stop")
MAX_ATTEMPTS = 20
RECORD = "corrupt_images"


def replacement_index(index: int, attempt: int, length: int) -> int:
    """Index of the sample that stands in for ``index`` at the given attempt (from 1).

    It depends on its arguments alone, so that every run, resumed or not, with any number of
    workers, sees the same samples. Strides of about 0.382 * ``length`` leave the damaged image's
    neighborhood, where more damage is likely, and come to every other sample once before any
    comes twice.
    """
    stride = max(1, round(0.381966 * length))
    while math.gcd(stride, length) != 1:
        stride += 1
    return (index + attempt * stride) % length


def prepare_or_replace(
    prepare: Callable[[int], Any], index: int, length: int, max_attempts: int = MAX_ATTEMPTS
) -> Any:
    """``prepare(index)``, or of another sample if the image is damaged.

    The sample that is handed out carries in its metainfo ``corrupt_images`` the damage that it
    stands for, as a dict from paths to messages; :class:`CorruptImageHook` reads it.

    Args:
        prepare: loads and transforms the sample of an index into ``dict(inputs, data_samples)``.
        index: of the wanted sample.
        length: of the data set.
        max_attempts: samples to try.

    Raises:
        CorruptImageError: ``max_attempts`` samples in a row are damaged, or the sample has no
            ``data_samples`` that could carry the record.
    """
    damaged: dict[str, str] = {}
    for attempt in range(max_attempts):
        try:
            sample = prepare(replacement_index(index, attempt, length) if attempt else index)
        except CorruptImageError as error:
            damaged[error.path] = str(error)
            continue
        if damaged:
            _record(sample, damaged)
        return sample
    raise CorruptImageError(
        f"{len(damaged)} damaged images met in a row in place of sample {index}, the last:"
        f" {list(damaged.values())[-1]}. List them all with tools/check_dataset.py"
    )


def check_on_corrupt(name: str, on_corrupt: str) -> None:
    """Raise ValueError if ``on_corrupt`` is no choice of data set class ``name``."""
    if on_corrupt not in ON_DAMAGE:
        raise ValueError(f"{name}: on_corrupt={on_corrupt!r} must be one of {ON_DAMAGE}")


def _record(sample: Any, damaged: dict[str, str]) -> None:
    carrier = sample.get("data_samples") if isinstance(sample, dict) else None
    if not isinstance(carrier, BaseDataElement):
        raise CorruptImageError(
            f"{next(iter(damaged.values()))}; it cannot be replaced, for the pipeline's output has"
            " no data_samples to record that: end the pipeline with PackInputs"
        )
    carrier.set_metainfo({RECORD: damaged})
