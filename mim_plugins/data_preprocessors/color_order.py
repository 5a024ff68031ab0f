"""Order of the colors of the images that a model reads."""

from typing import Any

from ..datasets.pipelines import loads_bgr
from ..errors import ConfigError
from .mix_data_preprocessor import reverses_channels

_RGB = 3


def reads_rgb(model: Any) -> bool:
    """Return whether a model reads RGB images after its data preprocessor, not BGR.

    Loading transforms return BGR. Training data in memory are RGB, as in CIFAR. Without a config, a
    preprocessor of mmpretrain that keeps the channels reads BGR, and another one RGB.

    Args:
        model: a model with ``data_preprocessor``, and its config if known, or an
            :class:`mim_plugins.apis.Encoder`.
    """
    described = getattr(getattr(model, "preprocessing", None), "channel_order", None)
    if described is not None:
        return described != "bgr"
    preprocessor = model.data_preprocessor
    if reverses_channels(preprocessor) or getattr(preprocessor, "to_rgb", False):
        return True
    training = run_config(model).get("train_dataloader")
    return not (loads_bgr(training) if training else hasattr(preprocessor, "to_rgb"))


def check_file_colors(backbone: Any, preprocessor: Any, training: Any, where: str) -> None:
    """Check that a model reads images of files, which are BGR, in the order of its training.

    Args:
        backbone: the model's backbone.
        preprocessor: the model's data preprocessor.
        training: training data, a data set or its config.
        where: what loads files, for the message.

    Raises:
        ConfigError: the training data are RGB in memory, and the preprocessor keeps their order.
    """
    keeps = not (reverses_channels(preprocessor) or getattr(preprocessor, "to_rgb", False))
    if keeps and getattr(backbone, "in_channels", _RGB) == _RGB and not loads_bgr(training):
        raise ConfigError(
            f"{where} loads files as BGR, but the training images are RGB in memory and"
            " data_preprocessor does not reverse them; give data sets with the pipeline of RGB"
            " images"
        )


def run_config(model: Any) -> Any:
    """Return the config that a model was built from, empty if it is unknown."""
    given = getattr(model, "run_config", None)
    return (getattr(model, "_config", None) if given is None else given) or {}
