"""Check of the normalization of images against that of a checkpoint's training."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..apis.inputs import input_channels
from ..apis.trained_normalization import Normalization, trained_normalization
from ..backbones.base_backbone import BaseBackbone
from ..data_preprocessors import has_normalization, innermost, passes_rgb, reverses_channels
from ..datasets.pipelines import image_order, normalizing_transform
from ..errors import ConfigError

_COLORS = 3


def check_normalization(
    model: Any, datasets: Mapping[str, Any], load_from: str | None = None
) -> list[str]:
    """Compare the normalization with those of the checkpoints that model and backbones load.

    Args:
        model: model whose weights are not yet loaded.
        datasets: built data sets by config field.
        load_from: checkpoint of the whole model that the runner loads.

    Returns:
        Warnings, see :func:`compare_normalization`.

    Raises:
        ConfigError: see :func:`compare_normalization`.
    """
    preprocessor = getattr(model, "data_preprocessor", None)
    if preprocessor is None:
        return []
    backbone = getattr(model, "backbone", model)
    return compare_normalization(_checkpoints(model, load_from), backbone, preprocessor, datasets)


def compare_normalization(
    checkpoints: Iterable[str], backbone: nn.Module, preprocessor: Any, datasets: Mapping[str, Any]
) -> list[str]:
    """Compare a data preprocessor, for the images of data sets, with those of checkpoints.

    Checkpoints without a config, such as third-party ones, checkpoints given as URLs and data
    preprocessors without a known argument are not compared, and neither are unknown orders of
    channels. Without ``mean`` and ``std``, images are compared as they are, unless a pipeline
    normalizes them.

    Args:
        checkpoints: files whose weights are loaded.
        backbone: backbone that reads the images.
        preprocessor: data preprocessor.
        datasets: built data sets by config field.

    Returns:
        A warning per checkpoint whose mean or standard deviation differs.

    Raises:
        ConfigError: the order of the three channels differs.
    """
    preprocessor = innermost(preprocessor)
    is_known = has_normalization(preprocessor)
    if not is_known or any(normalizing_transform(dataset) for dataset in datasets.values()):
        return []
    warnings: list[str] = []
    for path in dict.fromkeys(checkpoints):
        file = Path(path).expanduser()
        trained = trained_normalization(file) if file.is_file() else None
        if trained is None:
            continue
        if trained.is_order_known and input_channels(backbone) == trained.channels == _COLORS:
            for field, dataset in datasets.items():
                _check_order(path, trained, preprocessor, field, dataset)
        warnings += _compare_statistics(path, trained, preprocessor)
    return warnings


def _check_order(
    path: str, trained: Normalization, preprocessor: Any, field: str, dataset: Any
) -> None:
    if image_order(dataset) is None or passes_rgb(preprocessor, dataset) == trained.to_rgb:
        return
    order, other = ("RGB", "BGR") if trained.to_rgb else ("BGR", "RGB")
    switch = not reverses_channels(preprocessor)
    raise ConfigError(
        f"'{path}' was trained on {order} images, but data_preprocessor passes those of {field} as"
        f" {other}; set data_preprocessor.to_rgb={switch} (bgr_to_rgb in pre-training, detection"
        " and segmentation)"
    )


def _compare_statistics(path: str, trained: Normalization, preprocessor: Any) -> Iterator[str]:
    """Yield a warning if mean or standard deviation differ."""
    mean, std = (_values(preprocessor, key, none) for key, none in (("mean", 0.0), ("std", 1.0)))
    if not (_close(mean, trained.mean) and _close(std, trained.std)):
        yield (
            f"'{path}' was trained on images with mean={list(trained.mean)} and"
            f" std={list(trained.std)}, but this run normalizes with mean={_short(mean)} and"
            f" std={_short(std)}"
        )


def _checkpoints(model: Any, load_from: str | None) -> Iterator[str]:
    """Yield the files from which a model and the parts of its backbones are initialized."""
    yield load_from or ""
    backbones = [module for module in model.modules() if isinstance(module, BaseBackbone)]
    if isinstance(getattr(model, "backbone", None), nn.Module):
        backbones += model.backbone.modules()  # of any package, also inside wrappers
    for module in (model, *backbones):
        given = getattr(module, "init_cfg", None)
        for cfg in [given] if isinstance(given, dict) else given or []:
            yield str(cfg.get("checkpoint") or "")


def _values(preprocessor: Any, key: str, default: float) -> tuple[float, ...]:
    values = getattr(preprocessor, key, None)
    return tuple(values.flatten().tolist()) if isinstance(values, Tensor) else (default,)


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return whether values are equal, of which a single one holds for all channels."""
    count = max(len(one), len(other))
    one, other = (each * count if len(each) == 1 else each for each in (one, other))
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-3) for a, b in zip(one, other, strict=True)
    )


def _short(values: tuple[float, ...]) -> list[float]:
    return [round(value, 3) for value in values]
