"""Limits of the size of images that transforms enlarge."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import CorruptImageError
from ..transforms import ResizeEdge
from ..transforms.resize_edge import resized_size

_MAX_RESIZED = 1 << 28
"""Largest number of pixels after resizing."""


def bounded_steps(steps: Iterable[Any]) -> list[Any]:
    """Return transforms of which fewer create a very long image.

    A ``ResizeEdge`` of mmpretrain before a ``CenterCrop`` resizes the middle only. One of the long
    edge returns at least one pixel for the short one. The transforms of a ``Compose`` are returned
    one by one.
    """
    flat = list(_flat(steps))
    bounded = list(flat)
    for index, (step, following) in enumerate(itertools.zip_longest(flat, flat[1:])):
        if not _is_unbounded(step):
            continue
        candidate = ResizeEdge(step.scale, step.edge, step.backend, step.interpolation)
        crops = type(following).__name__ == "CenterCrop"
        if step.edge == "long" or (crops and max(following.crop_size) <= candidate.longest):
            bounded[index] = candidate
    return bounded


def check_resized(step: Any, results: Any, name: str) -> None:
    """Refuse an image whose resized version would fill the memory or have no pixels.

    Raises:
        CorruptImageError: the image is too long.
    """
    size = _size_after(step, results)
    if size is None:
        return
    height, width = size
    made = f"{type(step).__name__} would make it {width}x{height}"
    if height * width > _MAX_RESIZED:
        message = f"corrupt image '{name}': too large ({made} pixels)"
        raise CorruptImageError(message, name, "too large")
    if not height * width:
        message = f"corrupt image '{name}': too long for its width ({made} pixels)"
        raise CorruptImageError(message, name, "unsupported")


def _flat(steps: Iterable[Any]) -> Iterator[Any]:
    for step in steps:
        if type(step).__name__ == "Compose" and hasattr(step, "transforms"):
            yield from _flat(step.transforms)
        else:
            yield step


def _is_unbounded(step: Any) -> bool:
    """Return whether a transform is mmpretrain's ``ResizeEdge``, which has no size limit."""
    return type(step).__name__ == "ResizeEdge" and not isinstance(step, ResizeEdge)


def _size_after(step: Any, results: Any) -> tuple[int, int] | None:
    """Return (H, W) of the image after a resizing transform, None for others."""
    image = results.get("img") if isinstance(results, dict) else None
    if image is None:
        return None
    if _is_unbounded(step):
        return resized_size(image.shape, step.scale, step.edge)
    of_torchvision = getattr(step, "t", None)  # mmpretrain's wrapper
    if type(of_torchvision).__name__ == "Resize":
        return _size_in_torchvision(of_torchvision, image)
    scale = getattr(step, "scale", None) if getattr(step, "keep_ratio", False) else None
    if type(step).__name__ != "Resize" or scale is None:
        return None
    from mmcv.image.geometric import rescale_size

    return rescale_size(image.shape[1::-1], scale)[::-1]


def _size_in_torchvision(step: Any, image: Any) -> tuple[int, int]:
    from torchvision.transforms.functional import get_dimensions

    _, height, width = get_dimensions(image)
    sizes = [step.size] if isinstance(step.size, int) else list(step.size or ())
    if len(sizes) == 2:
        return sizes[0], sizes[1]
    short, long = sorted((height, width))
    longest = getattr(step, "max_size", None)
    target = sizes[0] if sizes else short
    long_after = int(target * long / short)
    if longest is not None and long_after > longest:
        target, long_after = int(longest * target / long_after), longest
    return (target, long_after) if height <= width else (long_after, target)
