"""Flags of ``train.py`` that stand for entries of a config: sizes, lengths and weights."""

import argparse
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ..apis import override_config
from ..config import type_name
from ..errors import ConfigError
from ..registry import SCOPE
from ..transforms.center_crop import covering_scale
from .dataset_configs import LOADERS
from .sizes import config_size, format_size
from .windows import best_window

_CROPS = dict(
    LoadRandomResizedCrop="scale",
    RandomResizedCrop="scale",
    RandomCrop="crop_size",
    CenterCrop="crop_size",
)
_EDGE = "ResizeEdge"  # of which a crop follows
_COVERING = f"{SCOPE}.{_EDGE}"  # which mmpretrain's does not
_STRETCH = (3 / 4, 4 / 3)  # aspect ratios of mmpretrain's RandomResizedCrop by default
_DENSE = ("mmdet", "mmseg")
_WINDOWS = (14, 14, 14, 7)  # of MaskedSwin by default


def apply_flags(cfg: Config, args: argparse.Namespace) -> list[str]:
    """Set the entries that the given flags stand for; return a line of text for each flag.

    Raises:
        ConfigError: a value is below 1, the config has no such entry, or ``--cfg-options`` has one
            of the entries, too.
    """
    lines = []
    for flag, find in (
        ("--img-size", _image_size),
        ("--batch-size", _batch_size),
        ("--epochs", _epochs),
        ("--checkpoint", _checkpoint),
    ):
        value = getattr(args, flag.removeprefix("--").replace("-", "_"))
        if value is None:
            continue
        given = f"{flag} {format_size(value) if isinstance(value, tuple) else value}"
        if not isinstance(value, str) and _smallest(value) < 1:
            raise ConfigError(f"{given} must be at least 1")
        options = find(cfg, value)
        _check_conflict(given, options, args.cfg_options)
        override_config(cfg, options)
        text = " ".join(f"{key}={entry}".replace(", ", ",") for key, entry in options.items())
        lines.append(f"{given}: {text}")
    return lines


def _smallest(value: int | tuple[int, int]) -> int:
    return min(value) if isinstance(value, tuple) else value


def _check_conflict(flag: str, options: dict[str, Any], given: dict[str, Any]) -> None:
    for key in given:
        for own in options:
            if f"{key}.".startswith(f"{own}.") or f"{own}.".startswith(f"{key}."):
                raise ConfigError(
                    f"{flag} stands for {own}, and --cfg-options has {key}={given[key]}: give one"
                    " of them"
                )


def _encoder(cfg: Config) -> tuple[str, dict[str, Any]]:
    """Return the place and the config of the encoder, also inside of :class:`FrozenBackbone`."""
    backbone = (cfg.get("model") or {}).get("backbone") or {}
    if isinstance(backbone.get("encoder"), dict):
        return "model.backbone.encoder", backbone["encoder"]
    return "model.backbone", backbone


def _batch_size(cfg: Config, value: int) -> dict[str, Any]:
    if "batch_size" not in (cfg.get("train_dataloader") or {}):
        raise ConfigError(
            "--batch-size: the config has no train_dataloader.batch_size; change its batch sampler"
            " with --cfg-options"
        )
    return {"train_dataloader.batch_size": value}


def _epochs(cfg: Config, value: int) -> dict[str, Any]:
    if (cfg.get("train_cfg") or {}).get("max_epochs") is None:
        raise ConfigError(
            "--epochs: the config counts iterations; use --cfg-options train_cfg.max_iters=NUMBER"
        )
    return {"train_cfg.max_epochs": value}


def _checkpoint(cfg: Config, value: str) -> dict[str, Any]:
    """Return the entry of the encoder's weights, or of those of the complete model."""
    place, encoder = _encoder(cfg)
    weights = encoder.get("init_cfg")
    if isinstance(weights, dict) and "checkpoint" in weights:
        return {f"{place}.init_cfg.checkpoint": value}
    return dict(load_from=value)


def _image_size(cfg: Config, size: tuple[int, int]) -> dict[str, Any]:
    if cfg.get("default_scope") in _DENSE:
        raise ConfigError(
            f"--img-size: the sizes of {cfg.default_scope}'s pipelines depend on each other; change"
            " them in a config file"
        )
    place, encoder = _encoder(cfg)
    options: dict[str, Any] = {f"{place}.img_size": config_size(size)}
    windows = encoder.get("window_size", _WINDOWS)
    is_swin = type_name(encoder.get("type")) == "MaskedSwin"
    if is_swin and not encoder.get("shift_windows") and isinstance(windows, (list, tuple)):
        patch = encoder.get("patch_size", 4)
        strides = [patch * 2**stage for stage in range(len(windows))]
        options[f"{place}.window_size"] = [
            best_window(*(max(side // stride, 1) for side in size)) for stride in strides
        ]
    for loader in LOADERS:
        if not cfg.get(loader):
            continue
        found = {
            key: entry
            for path, pipeline in _pipelines(cfg[loader].get("dataset"), f"{loader}.dataset")
            for key, entry in _crops(pipeline, path, size)
        }
        if not found:
            raise ConfigError(
                f"--img-size: the pipeline of {loader} has no crop ({', '.join(_CROPS)}), so its"
                " size is unknown; change it in a config file"
            )
        options |= found
    return options


def _pipelines(dataset: Any, path: str) -> Iterator[tuple[str, list]]:
    """Yield the pipelines of a data set and of those inside of wrappers, with their places."""
    if not isinstance(dataset, dict):
        return
    if isinstance(dataset.get("pipeline"), (list, tuple)):
        yield f"{path}.pipeline", dataset["pipeline"]
    yield from _pipelines(dataset.get("dataset"), f"{path}.dataset")
    for number, part in enumerate(dataset.get("datasets") or ()):
        yield from _pipelines(part, f"{path}.datasets.{number}")


def _crops(pipeline: list, path: str, size: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """Yield the entries of the crops, and of the resized edges, which keep their ratio to these."""
    kinds = [type_name(each.get("type")) if isinstance(each, dict) else "" for each in pipeline]
    before = None
    for number, kind in enumerate(kinds):
        if kind not in _CROPS:
            continue
        field, place = _CROPS[kind], f"{path}.{number}"
        before = _sides(pipeline[number].get(field))
        # mmcv reads (width, height), as a tuple only
        is_swapped = kind == "CenterCrop" and size[0] != size[1]
        yield f"{place}.{field}", size[::-1] if is_swapped else config_size(size)
        if kind == "RandomResizedCrop":
            shape = 1.0 if before is None else before[1] / before[0]
            factor = size[1] / size[0] / shape
            low, high = pipeline[number].get("aspect_ratio_range", _STRETCH)
            if factor != 1:
                yield f"{place}.aspect_ratio_range", [low * factor, high * factor]
    if before is None:
        return
    last = max(number for number, kind in enumerate(kinds) if kind in _CROPS)
    for number, kind in enumerate(kinds[:last]):
        scale = _sides(pipeline[number].get("scale")) if kind == _EDGE else None
        if scale is None:
            continue
        longer = round(max(scale) * max(size) / max(before))
        is_short = pipeline[number].get("edge", "short") == "short"
        found = covering_scale(size, longer) if is_short else longer
        if not isinstance(found, int) and pipeline[number]["type"] != _COVERING:
            yield f"{path}.{number}.type", _COVERING
        yield f"{path}.{number}.scale", found


def _sides(size: Any) -> tuple[int, int] | None:
    """Return the two sides that a config's entry gives, None for an unknown one."""
    sides = size if isinstance(size, (list, tuple)) else (size, size)
    is_known = len(sides) == 2 and all(isinstance(side, int) for side in sides)
    return tuple(sides) if is_known else None
