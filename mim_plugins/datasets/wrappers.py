"""Looking into data sets that wrap others, such as MMEngine's ``RepeatDataset``."""

from collections.abc import Iterator
from typing import Any


def wrapped_datasets(dataset: Any) -> Iterator[Any]:
    """Yield the data sets at the bottom of any wrappers, in order."""
    parts = _parts(dataset)
    if not parts:
        yield dataset
    for part in parts:
        yield from wrapped_datasets(part)


def count_images(dataset: Any) -> int:
    """Return the number of images, each of which counts once however often a wrapper repeats it.

    A wrapper that leaves images out has as many as it gives.
    """
    parts = _parts(dataset)
    if not parts:
        return len(dataset)
    return min(len(dataset), sum(map(count_images, parts)))


def _parts(dataset: Any) -> list[Any]:
    several = getattr(dataset, "datasets", None)
    if several is not None:
        return list(several)
    inner = getattr(dataset, "dataset", None)
    return [] if inner is None else [inner]
