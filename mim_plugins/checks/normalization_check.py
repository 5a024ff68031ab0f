"""Check of the normalization of images against that of a backbone's pre-training."""

import math
from pathlib import Path
from typing import Any

from ..backbones.base_backbone import BaseBackbone
from ..checkpoints.trained_normalization import REVERSALS, trained_normalization
from ..errors import ConfigError


def check_normalization(model: Any, load_from: str | None = None) -> list[str]:
    """Compare the data preprocessor with those of the checkpoints that model and backbones load.

    Checkpoints without a config, such as third-party ones, and checkpoints given as URLs are not
    compared.

    Args:
        model: model whose weights are not yet loaded.
        load_from: checkpoint of the whole model that the runner loads.

    Returns:
        A warning per checkpoint whose mean or standard deviation differs.

    Raises:
        ConfigError: the order of the three channels differs.
    """
    preprocessor = getattr(model, "data_preprocessor", None)
    mean, std = (getattr(preprocessor, name, None) for name in ("mean", "std"))
    if mean is None or std is None:
        return []
    reads_rgb = _reads_rgb(preprocessor)
    own = tuple(tuple(each.flatten().tolist()) for each in (mean, std))
    warnings = []
    for path in _checkpoints(model, load_from):
        trained = trained_normalization(path)
        if trained is None:
            continue
        if trained.to_rgb != reads_rgb and len(own[0]) == len(trained.mean) == 3:
            order, other = ("RGB", "BGR") if trained.to_rgb else ("BGR", "RGB")
            raise ConfigError(
                f"'{path}' was trained on {order} images, but the data preprocessor of this run"
                f" passes {other}; set data_preprocessor.to_rgb={trained.to_rgb} (bgr_to_rgb in"
                " detection and segmentation)"
            )
        if not all(map(_close, own, (trained.mean, trained.std))):
            warnings.append(
                f"'{path}' was trained on images with mean={list(trained.mean)} and"
                f" std={list(trained.std)}, but this run normalizes with mean={_short(own[0])} and"
                f" std={_short(own[1])}"
            )
    return warnings


def _checkpoints(model: Any, load_from: str | None) -> list[str]:
    """Return the existing files from which a model and its backbones are initialized."""
    paths = [load_from or ""]
    backbones = (module for module in model.modules() if isinstance(module, BaseBackbone))
    for module in (model, *backbones):
        given = getattr(module, "init_cfg", None)
        for cfg in [given] if isinstance(given, dict) else given or []:
            paths.append(str(cfg.get("checkpoint") or ""))
    return [path for path in dict.fromkeys(paths) if Path(path).is_file()]


def _reads_rgb(preprocessor: Any) -> bool:
    """Return whether BGR images become RGB; the frameworks name the switch differently."""
    names = (*REVERSALS, "channel_conversion", "_channel_conversion")
    return any(getattr(preprocessor, name, False) is True for name in names)


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-3) for a, b in zip(one, other, strict=True)
    )


def _short(values: tuple[float, ...]) -> list[float]:
    return [round(value, 3) for value in values]
