"""Normalization of the images on which a model was trained, read from its checkpoint."""

from pathlib import Path
from typing import Any, NamedTuple

from .description import KEY, parse_description
from .literal_config import literal_config
from .metadata import read_metadata

# each of them reverses the channels of images, which are read as BGR
REVERSALS = ("to_rgb", "bgr_to_rgb", "rgb_to_bgr")


class Normalization(NamedTuple):
    """Normalization of a data preprocessor, for images read as BGR."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool
    """The model reads RGB; otherwise BGR."""


def trained_normalization(path: str | Path) -> Normalization | None:
    """Return the normalization in the description of an exported file, or in a checkpoint's config.

    MMEngine stores the config in ``meta`` of its checkpoints. It is parsed and not executed. The
    result is None if the file contains neither a description nor a config with ``mean`` and
    ``std``, or cannot be read.
    """
    try:
        metadata = read_metadata(Path(path))
        text = metadata.get(KEY)
        if type(text) is str:
            given = parse_description(text, path).preprocessing
            return Normalization(given.mean, given.std, given.channel_order == "rgb")
    except Exception:  # of any type in safetensors; loading the weights reports the reason
        return None
    config = metadata.get("cfg")
    return normalization_in(config) if type(config) is str else None


def normalization_in(config: str) -> Normalization | None:
    """Return the normalization in the text of a config, None without ``mean`` and ``std``."""
    variables = literal_config(config)
    entries = _dict(_dict(variables.get("model")).get("data_preprocessor"))
    entries = entries or _dict(variables.get("data_preprocessor"))
    mean, std = (_numbers(entries.get(key)) for key in ("mean", "std"))
    if mean is None or std is None:
        return None
    return Normalization(mean, std, any(entries.get(key) is True for key in REVERSALS))


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _numbers(values: Any) -> tuple[float, ...] | None:
    if not isinstance(values, (list, tuple)) or not values:
        return None
    return tuple(values) if all(type(each) in (int, float) for each in values) else None
