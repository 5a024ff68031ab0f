"""Checks of the values and colors of images against data preprocessor and teachers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data_preprocessors import passes_rgb, reverses_channels
from ..errors import ConfigError

_FAR = 8  # standard deviations
_STANDARDIZED = 8  # hardly exceeded by images with mean 0 and standard deviation 1
_WHITE = 255
_DARK = 31
_OVERSHOOT = 32  # of the bicubic interpolation of float images


def check_pixel_range(preprocessor: Any, field: str, images: Sequence[Tensor]) -> str | None:
    """Check the standard deviations and the scale of images: not normalized already, nor dark.

    Args:
        preprocessor: data preprocessor with or without ``mean`` and ``std``.
        field: config field of the data set, for messages.
        images: images (C, H, W) of the data set.

    Returns:
        A warning, or None.

    Raises:
        ConfigError: a standard deviation is 0 or negative.
    """
    mean, std = getattr(preprocessor, "mean", None), getattr(preprocessor, "std", None)
    if not isinstance(mean, Tensor) or not isinstance(std, Tensor):
        return None
    if not (std > 0).all():
        raise ConfigError(
            f"data_preprocessor.std={std.flatten().tolist()} must be above 0, because images are"
            " divided by it"
        )
    for image in images:
        if not image.is_floating_point() or not image.numel():
            continue
        low, high = float(image.min()), float(image.max())
        highest = _STANDARDIZED if low < 0 else 1
        if low < high <= highest < float(mean.max()):  # a mean of pixels from 0 to 255
            return (
                f"{field}: images have values from {low:.4g} to {high:.4g} before"
                f" data_preprocessor normalizes them with mean={mean.flatten().tolist()}; leave"
                " the normalization out of the pipeline"
            )
    return _check_scale(mean, std, field, images) or _check_darkness(field, images)


def _check_scale(mean: Tensor, std: Tensor, field: str, images: Sequence[Tensor]) -> str | None:
    """Return a warning if the statistics are those of values from 0 to 1, but images are not."""
    values = [float(image.float().mean()) for image in images if image.numel()]
    average = sum(values) / max(len(values), 1)  # unlike the maximum, hardly moved by outliers
    highest_mean, highest_std = float(mean.max()), float(std.max())
    # values from 0 to 1 have a standard deviation of at most 0.5; 1 leaves the scale unchanged
    is_unit_scale = highest_mean <= 1 and highest_std <= 0.5
    if not is_unit_scale or average < highest_mean + _FAR * highest_std:
        return None
    return (
        f"{field}: images have values of {average:.4g} on average, far above"
        f" data_preprocessor.mean={mean.flatten().tolist()}; give mean and std on the scale of"
        f" the images, for 8 bits from 0 to {_WHITE}"
    )


def _check_darkness(field: str, images: Sequence[Tensor]) -> str | None:
    """Return a warning if 8-bit images are almost black, as scaled numbers of 12 bits are."""
    highest = max((int(i.max()) for i in images if i.dtype == torch.uint8 and i.numel()), default=0)
    if not 0 < highest <= _DARK:
        return None
    return (
        f"{field}: images have values up to {highest} of {_WHITE}, so they are almost black. 16-bit"
        " files are divided by 256, which leaves little of numbers of 12 bits. Read such files"
        " with bands=dict(channels=...) of the loading transform, or with --channels of"
        " mim-plugins pretrain"
    )


def check_teacher_range(field: str, images: Sequence[Tensor]) -> None:
    """Check that the values of images are those of 8-bit images, which teachers assume.

    Raises:
        ConfigError: they are clearly negative, clearly above 255 or between 0 and 1.
    """
    others = [each.float() for each in images if each.dtype != torch.uint8 and each.numel()]
    if not others:
        return
    low, high = min(float(each.min()) for each in others), max(float(each.max()) for each in others)
    if low >= -_OVERSHOOT and (low == high == 0 or 1 < high <= _WHITE + _OVERSHOOT):  # no NaN
        return
    raise ConfigError(
        f"{field}: images have values from {low:.6g} to {high:.6g}, but teachers read RGB from 0 to"
        f" {_WHITE}; convert the images to 8 bits, or set model.mimics=None"
    )


def check_teacher_colors(preprocessor: Any, field: str, dataset: Any) -> None:
    """Check that teachers get RGB: images of files, which are BGR, are reversed, and others kept.

    Raises:
        ConfigError: the data preprocessor passes BGR.
    """
    if passes_rgb(preprocessor, dataset):
        return
    given = (
        "images are RGB and data_preprocessor reverses them"
        if reverses_channels(preprocessor)
        else "files are loaded as BGR and data_preprocessor does not reverse them"
    )
    raise ConfigError(
        f"{field}: {given}, but teachers read RGB; set"
        f" data_preprocessor.bgr_to_rgb={not reverses_channels(preprocessor)}, or model.mimics=None"
    )
