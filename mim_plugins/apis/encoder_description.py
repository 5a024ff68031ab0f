"""Descriptions of the encoders in configs and in the checkpoints of runs."""

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from ..checkpoints.description import (
    BACKBONES,
    Description,
    Preprocessing,
    parse_description,
)
from ..checkpoints.literal_config import literal_config
from ..checkpoints.metadata import file_digest, read_description, read_metadata
from ..config import type_name
from ..datasets.pipelines import pipelines_of, transform_name
from ..datasets.wrappers import loading_bands
from ..registry import MODELS, SCOPE
from ..transforms.center_crop import covering_scale
from ..version import __version__
from .described_values import (
    as_dict,
    described_arguments,
    described_pixels,
    described_sides,
    plain,
    refusal,
)
from .trained_normalization import described_normalization

# arguments of training and of loading, which do not change features
_OF_TRAINING = (
    "_delete_", "_scope_", "attn_drop_rate", "drop_path_rate", "drop_rate", "frozen_stages",
    "init_cfg", "type", "with_cp",
)  # fmt: skip
_CENTER_CROP = ("ResizeEdge", "CenterCrop", "PackInputs")


def describe_checkpoint(path: Path, config: Config | None = None) -> Description | None:
    """Return the description of the encoder in a file.

    It is the one that an exported file contains, or else that of ``config``, or else that of the
    config in a checkpoint of MMEngine, which is parsed and not executed. None means that none of
    them describes a backbone of this package.

    Raises:
        CheckpointError: the description in the file is not valid, or the file is corrupt.
    """
    written = read_description(path)
    if written is not None and config is None:
        return written
    variables = trained_config(path) if config is None else config.to_dict()
    described = describe_config(variables)
    if described is None:
        return None
    _note_unknown_order(variables, described)
    versions = {"mim_plugins": __version__, "torch": str(torch.__version__)}
    return described._replace(source=path.name, source_sha256=file_digest(path), versions=versions)


def _note_unknown_order(config: Mapping[str, Any], described: Description) -> None:
    """Print a note if the order of the colors is assumed, because that of the data is unknown."""
    order = described.preprocessing.channel_order
    is_color = order != "any" and config.get("train_dataloader") is not None
    if is_color and not described_normalization(config).is_order_known:
        print_log(
            "note: the order of the colors of the training images is unknown; the encoder is"
            f" described as one that reads {order.upper()}",
        )


def trained_config(path: Path) -> dict[str, Any]:
    """Return the variables of the config in a checkpoint of MMEngine; empty without a config."""
    config = read_metadata(path).get("cfg")
    return literal_config(config) if type(config) is str else {}


def describe_config(config: Mapping[str, Any]) -> Description | None:
    """Return the description of a config's encoder, None if its backbone is not of this package.

    Images are prepared by the pipeline of the test data, or else of the validation data, if it
    resizes the short edge, or until a size is covered, and crops the center. Otherwise, as in
    pre-training, images cover 256 / 224 of the backbone's ``img_size``, the size of the crop.

    Raises:
        CheckpointError: the config contains values that no description may have.
        ConfigError: a pipeline normalizes, see :func:`check_not_normalized`.
    """
    model = as_dict(config.get("model"))
    given = as_dict(model.get("backbone"))
    name = type_name(given.get("type"))
    if name not in BACKBONES:
        return None
    kind: Any = MODELS.get(f"{SCOPE}.{name}")
    defaults = inspect.signature(kind).parameters
    arguments = described_arguments(
        "model.backbone",
        {key: plain(value) for key, value in given.items() if key not in _OF_TRAINING},
    )
    size, channels = (
        arguments.get(key, defaults[key].default) for key in ("img_size", "in_channels")
    )
    height, width = described_sides("model.backbone.img_size", size)
    described_pixels("model.backbone.in_channels", channels)
    normalization = described_normalization(config)
    order = "any" if channels != 3 else "rgb" if normalization.to_rgb else "bgr"
    resizing = _center_crop(config) or dict(
        size=(height, width),
        resize=described_sides("img_size", covering_scale((height, width))),
        interpolation="bicubic",
        backend="pillow",
    )
    preprocessing = Preprocessing(
        **resizing,
        channels=channels,
        channel_order=order,
        mean=normalization.mean,
        std=normalization.std,
        bands=_plain_bands(config, channels),
    )
    described = Description(
        {"type": name, **arguments}, preprocessing, type_name(model.get("type"))
    )
    return parse_description(described.to_json(), "the config")


def _plain_bands(config: Mapping[str, Any], channels: int) -> dict[str, Any] | None:
    """Return ``bands`` of the training data, with those of other channels than gray and RGB."""
    given = plain(loading_bands(as_dict(config.get("train_dataloader")).get("dataset")))
    if given is None:
        return None if channels in (1, 3) else dict(channels=channels)
    fill = given.get("fill")
    changed: dict[str, Any] = dict(fill=list(fill)) if isinstance(fill, (list, tuple)) else {}
    nodata = given.get("nodata")
    if isinstance(nodata, float) and not math.isfinite(nodata):
        changed["nodata"] = None  # NaN and infinities are always missing values
    return described_arguments("bands", given | changed)


def _center_crop(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return sizes, interpolation and backend of the test pipeline, if it has these."""
    field = "test_dataloader" if config.get("test_dataloader") else "val_dataloader"
    steps = next(pipelines_of(config.get(field)), ())
    if tuple(map(transform_name, steps[1:])) != _CENTER_CROP:
        return None
    if not all(isinstance(step, dict) for step in steps):
        raise refusal(f"{field} pipeline", steps[1], "a list of dicts")
    resize, crop = plain(steps[1]), plain(steps[2])
    width, height = described_sides(f"{field} crop_size", crop.get("crop_size"))
    if resize.get("edge", "short") != "short":
        return None
    scale = described_sides(f"{field} scale", resize.get("scale"))
    if height > scale[0] or width > scale[1]:
        return None
    described = dict(
        size=(height, width),
        resize=scale,
        interpolation=resize.get("interpolation", "bilinear"),
        backend=resize.get("backend", "cv2"),
    )
    return described_arguments(f"{field} ResizeEdge", described)
