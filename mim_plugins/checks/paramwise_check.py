"""Check of learning rates and decays of single parameters."""

import difflib
import inspect
import re

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS
from torch import nn

from ..config import resolve_type
from ..config.schema import CLOSE
from ..errors import ConfigError

_FACTORS = ("lr_mult", "decay_mult", "lars_exclude")


def check_custom_keys(cfg: Config, model: nn.Module) -> list[str]:
    """Check ``optim_wrapper.paramwise_cfg.custom_keys`` against the model and the optimizer.

    Returns:
        Warnings about keys that resemble a parameter's name and are part of none, and about
        settings that are neither factors nor those of the optimizer. Other keys without effect are
        usual, because configs list parameters of several models. Hooks may read any settings.

    Raises:
        ConfigError: the keys or an entry are not a dict.
    """
    wrapper = cfg.get("optim_wrapper") or {}
    keys = (wrapper.get("paramwise_cfg") or {}).get("custom_keys") or {}
    field = "optim_wrapper.paramwise_cfg.custom_keys"
    if not isinstance(keys, dict):
        raise ConfigError(f"{field}={keys!r} must be a dict of dicts, by part of parameter names")
    names = [name for name, _ in model.named_parameters()]
    settings = _group_settings(wrapper, cfg.get("default_scope"))
    warnings = []
    for key, entry in keys.items():
        if not isinstance(entry, dict):
            raise ConfigError(
                f"{field}[{key!r}]={entry!r} must be a dict, such as dict(lr_mult={entry!r})"
            )
        unknown = [name for name in entry if settings is not None and name not in settings]
        if unknown:
            warnings.append(
                f"{field}[{key!r}] has '{unknown[0]}', which is neither a factor (lr_mult,"
                " decay_mult) nor a setting of the optimizer"
            )
        near = None if any(key in name for name in names) else _near(key, names)
        if near is not None:
            warnings.append(
                f"{field}[{key!r}] has no effect: no parameter of the model contains it; did you"
                f" mean {near!r}?"
            )
    return warnings


def _near(key: str, names: list[str]) -> str | None:
    """Return the most similar part of a parameter name with as many dots as ``key``.

    Keys that differ only in numbers list layers of another backbone.
    """
    key = key.strip(".")
    length = key.count(".") + 1
    parts = set()
    for name in names:
        words = name.split(".")
        parts |= {".".join(words[i : i + length]) for i in range(len(words) - length + 1)}
    near = next(iter(difflib.get_close_matches(key, sorted(parts), n=1, cutoff=CLOSE)), None)
    is_number = near is not None and re.sub(r"\d+", "", near) == re.sub(r"\d+", "", key)
    return None if is_number else near


def _group_settings(wrapper: dict, scope: str | None) -> set[str] | None:
    """Return what an entry may set, None if a constructor or optimizer decides that itself."""
    optimizer = wrapper.get("optimizer") or {}
    if wrapper.get("constructor") not in (None, "DefaultOptimWrapperConstructor"):
        return None
    built = resolve_type(optimizer.get("type"), OPTIMIZERS, scope)
    if built is None:
        return None
    parameters = inspect.signature(built).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    return {*_FACTORS, *(each.name for each in parameters)} - {"params"}
