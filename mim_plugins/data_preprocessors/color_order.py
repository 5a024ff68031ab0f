"""Order of the colors of the images that a model reads."""

import logging
from typing import Any

from mmengine.logging import print_log

from ..datasets.pipelines import image_order
from ..errors import ConfigError

_RGB = 3
# arguments of data preprocessors, and attributes of those of MMEngine and mmsegmentation
_REVERSALS = ("to_rgb", "bgr_to_rgb", "rgb_to_bgr", "channel_conversion", "_channel_conversion")


def reads_rgb(model: Any) -> bool:
    """Return whether a model reads RGB images after its data preprocessor, not BGR.

    The order follows from that of the training data, see :func:`image_order`, and from whether the
    data preprocessor reverses it. Without a config, a preprocessor of mmpretrain that keeps the
    channels reads BGR, and another one RGB.

    Args:
        model: a model with ``data_preprocessor``, and its config if known, or an
            :class:`mim_plugins.apis.Encoder`.
    """
    described = getattr(getattr(model, "preprocessing", None), "channel_order", None)
    if described is not None:
        return described != "bgr"
    preprocessor, config = innermost(model.data_preprocessor), run_config(model)
    given = (config.get("model") or {}).get("data_preprocessor") or config.get("data_preprocessor")
    # MMEngine's keeps that it reverses the channels, but not the direction
    has_direction = reverses_channels(preprocessor) and _makes_bgr(given)
    return passes_rgb(
        given if has_direction else preprocessor,
        config.get("train_dataloader"),
        not hasattr(preprocessor, "to_rgb"),
    )


def passes_rgb(preprocessor: Any, training: Any, default: bool = True) -> bool:
    """Return whether a data preprocessor passes RGB images to a model in training, not BGR.

    Args:
        preprocessor: data preprocessor or its config.
        training: training data, a loader, a data set or the config of either; empty if unknown.
        default: result for unknown training data whose channels are kept.
    """
    reverses, order = reverses_channels(preprocessor), image_order(training)
    if order is None:
        return not _makes_bgr(preprocessor) if reverses else default or bool(training)
    return (order == "bgr") == reverses


def reverses_channels(preprocessor: Any) -> bool:
    """Return whether a data preprocessor of any framework, or its config, reverses BGR and RGB."""
    preprocessor = innermost(preprocessor)
    values = (_entry(preprocessor, name) for name in _REVERSALS)
    return any(value == 1 for value in values)  # not every object, because configs may contain any


def _makes_bgr(preprocessor: Any) -> bool:
    """Return whether a data preprocessor, or its config, reverses RGB images to BGR."""
    return _entry(innermost(preprocessor), "rgb_to_bgr") == 1


def innermost(preprocessor: Any) -> Any:
    """Return the data preprocessor, or its config, inside wrappers.

    mmdet's ``MultiBranchDataPreprocessor`` wraps that of each branch.
    """
    inner = _entry(preprocessor, "data_preprocessor")
    if inner is None or isinstance(inner, dict) != isinstance(preprocessor, dict):
        return preprocessor
    return innermost(inner)


def has_normalization(preprocessor: Any) -> bool:
    """Return whether a data preprocessor, or its config, has an argument for mean or colors."""
    preprocessor = innermost(preprocessor)
    if isinstance(preprocessor, dict):
        return not {"mean", *_REVERSALS}.isdisjoint(preprocessor)
    return any(hasattr(preprocessor, name) for name in ("mean", *_REVERSALS))


def _entry(preprocessor: Any, name: str) -> Any:
    if isinstance(preprocessor, dict):
        return preprocessor.get(name)
    return getattr(preprocessor, name, None)


def reverses_files(model: Any) -> bool:
    """Return whether images of files, loaded as BGR, must be reversed before ``model``'s pipeline.

    The data preprocessor receives them afterwards, so this is the case for training data in RGB.
    """
    return reads_rgb(model) != reverses_channels(model.data_preprocessor)


def check_file_colors(backbone: Any, preprocessor: Any, training: Any, where: str) -> None:
    """Check that a model reads images of files, which are BGR, in the order of its training.

    A note is logged if the order of the training images is unknown.

    Args:
        backbone: the model's backbone.
        preprocessor: the model's data preprocessor.
        training: training data, a data set or its config.
        where: what loads files, for the message.

    Raises:
        ConfigError: the training data are RGB.
    """
    if getattr(backbone, "in_channels", _RGB) != _RGB:
        return
    if image_order(training) is None:
        print_log(
            f"{where} loads files as BGR, but the order of the colors of the training images is"
            " unknown; if it is RGB before data_preprocessor, give data sets with that pipeline",
            logger="current",
            level=logging.WARNING,
        )
    elif passes_rgb(preprocessor, training) != reverses_channels(preprocessor):
        raise ConfigError(
            f"{where} loads files as BGR, but the training images are RGB before"
            " data_preprocessor; give data sets with the pipeline of RGB images"
        )


def run_config(model: Any) -> Any:
    """Return the config that a model was built from, empty if it is unknown."""
    given = getattr(model, "run_config", None)
    return (getattr(model, "_config", None) if given is None else given) or {}
