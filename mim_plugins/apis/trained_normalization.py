"""Normalization of the images on which a model was trained, from its config or checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..checkpoints.description import KEY, parse_description
from ..checkpoints.literal_config import literal_config
from ..checkpoints.metadata import read_metadata
from ..config import type_name
from ..data_preprocessors import has_normalization, innermost, passes_rgb, reverses_channels
from ..datasets.pipelines import check_not_normalized, image_order
from ..errors import CheckpointError, ConfigError
from .described_values import LOADERS, as_dict, check_pipelines, described_numbers, plain

_BGR_BY_DEFAULT = ("ClsDataPreprocessor", "SelfSupDataPreprocessor")  # of mmpretrain
# these have no other arguments of normalization, so a config without mean and std has none
_PLAIN = (
    *_BGR_BY_DEFAULT,
    *("MixDataPreprocessor", "BaseDataPreprocessor", "ImgDataPreprocessor"),
    *("DetDataPreprocessor", "SegDataPreProcessor"),
)
_RGB = 3


class Normalization(NamedTuple):
    """Normalization of images before a model."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool
    """The model reads RGB; otherwise BGR."""
    channels: int = _RGB
    is_order_known: bool = True
    """False for training data in an unknown order, which count as RGB if they are not reversed."""


def trained_normalization(path: str | Path) -> Normalization | None:
    """Return the normalization in the description of an exported file, or in a checkpoint's config.

    MMEngine stores the config in ``meta`` of its checkpoints. It is parsed and not executed. The
    result is None if the file contains neither a description nor a config of a model and its
    images, if a pipeline of the config normalizes, or if the file cannot be read.
    """
    try:
        metadata = read_metadata(Path(path))
        text = metadata.get(KEY)
        if type(text) is str:
            given = parse_description(text, path).preprocessing
            is_rgb = given.channel_order == "rgb"
            return Normalization(given.mean, given.std, is_rgb, given.channels)
    except Exception:  # of any type in safetensors; loading the weights reports the reason
        return None
    config = metadata.get("cfg")
    return normalization_in(config) if type(config) is str else None


def normalization_in(config: str) -> Normalization | None:
    """Return the normalization in the text of a config, None if it is not known."""
    variables = literal_config(config)
    images = _preprocessor(variables) or as_dict(variables.get("train_dataloader"))
    if not as_dict(variables.get("model")) or not images or not _is_known(variables):
        return None
    try:
        return described_normalization(variables)
    except (CheckpointError, ConfigError):
        return None


def described_normalization(config: Mapping[str, Any]) -> Normalization:
    """Return the normalization of a config's images, with mean 0 and deviation 1 if it has none.

    Raises:
        CheckpointError: a value is no number, or has to be computed.
        ConfigError: a pipeline normalizes, see :func:`check_not_normalized`.
    """
    check_pipelines(config)
    for field in LOADERS:
        check_not_normalized(config.get(field), field)
    model, preprocessor = as_dict(config.get("model")), plain(_preprocessor(config))
    mean, std = (
        described_numbers(f"data_preprocessor.{key}", preprocessor.get(key), none)
        for key, none in (("mean", 0.0), ("std", 1.0))
    )
    training = config.get("train_dataloader")
    channels = plain(as_dict(model.get("backbone")).get("in_channels"))
    return Normalization(
        mean,
        std,
        _is_rgb(preprocessor, model, config),
        channels if type(channels) is int else _RGB,
        reverses_channels(preprocessor) or image_order(training) is not None,
    )


def _preprocessor(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of the data preprocessor, which mmpretrain writes next to the model."""
    own = as_dict(as_dict(config.get("model")).get("data_preprocessor"))
    return innermost(own or as_dict(config.get("data_preprocessor")))


def _is_known(config: Mapping[str, Any]) -> bool:
    """Return whether a data preprocessor, if there is one, normalizes by known arguments."""
    preprocessor = _preprocessor(config)
    kind = type_name(preprocessor.get("type"))
    return has_normalization(preprocessor) or not kind or kind in _PLAIN


def _is_rgb(preprocessor: dict, model: dict, config: Mapping[str, Any]) -> bool:
    kind = type_name(preprocessor.get("type"))
    is_classifier = not kind and type_name(model.get("type")) == "ImageClassifier"
    is_rgb_by_default = kind not in _BGR_BY_DEFAULT and not is_classifier
    return passes_rgb(preprocessor, config.get("train_dataloader"), is_rgb_by_default)
