"""Check of the normalization of images against that of a backbone's pre-training."""

import math
from pathlib import Path
from typing import Any

from ..backbones.base_backbone import BaseBackbone
from ..checkpoints.trained_normalization import trained_normalization
from ..errors import ConfigError


def check_normalization(model: Any) -> list[str]:
    """Compare the data preprocessor with those of the checkpoints that backbones load.

    Checkpoints without a config, such as third-party ones, and checkpoints given as URLs are not
    compared.

    Returns:
        A warning per checkpoint whose mean or standard deviation differs.

    Raises:
        ConfigError: the order of the channels differs.
    """
    preprocessor = getattr(model, "data_preprocessor", None)
    mean, std = (getattr(preprocessor, name, None) for name in ("mean", "std"))
    if mean is None or std is None:
        return []
    reads_rgb = _reads_rgb(preprocessor)
    own = tuple(tuple(each.flatten().tolist()) for each in (mean, std))
    warnings = []
    for path in _checkpoints(model):
        trained = trained_normalization(path)
        if trained is None:
            continue
        if trained.to_rgb != reads_rgb and len(own[0]) == 3:
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


def _checkpoints(model: Any) -> list[str]:
    """Return the existing files from which the backbones of a model are initialized."""
    paths = []
    for module in model.modules():
        given = module.init_cfg if isinstance(module, BaseBackbone) else None
        for cfg in [given] if isinstance(given, dict) else given or []:
            path = str(cfg.get("checkpoint") or "")
            if path not in paths and Path(path).is_file():
                paths.append(path)
    return paths


def _reads_rgb(preprocessor: Any) -> bool:
    """Return whether BGR images become RGB; the frameworks name the switch differently."""
    names = ("to_rgb", "channel_conversion", "_channel_conversion")
    return any(getattr(preprocessor, name, False) is True for name in names)


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-3) for a, b in zip(one, other, strict=True)
    )


def _short(values: tuple[float, ...]) -> list[float]:
    return [round(value, 3) for value in values]
