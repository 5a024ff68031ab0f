"""Optimizer settings of a resumed run, taken from its config."""

import inspect
from collections.abc import Collection
from typing import Any

from torch import Tensor

from .optimizer_values import IMPLEMENTATION


def apply_config_settings(
    optimizer: Any, built: list[dict], saved: list[dict], scheduled: Collection[str]
) -> list[str]:
    """Replace the settings in the parameter groups of a checkpoint with the config's.

    Settings are the arguments of the optimizer's class. Other entries of a group may be progress.

    Args:
        optimizer: optimizer of the run.
        built: its parameter groups, as configured.
        saved: the same number of groups from the checkpoint; changed in place.
        scheduled: scheduled settings, including the learning rate.

    Returns:
        A message for each changed setting.
    """
    known = inspect.signature(type(getattr(optimizer, "optim", optimizer))).parameters
    first_beta_is_scheduled = "momentum" in scheduled
    changes: dict[str, str] = {}
    for new, old in zip(built, saved, strict=True):
        for name in (known.keys() & new.keys()) - {"params"}:
            value = new[name]
            old.setdefault(name, value)  # settings of a newer version of the optimizer
            if name in scheduled:
                is_number = isinstance(old[name], Tensor) and isinstance(value, (int, float))
                old[name] = float(old[name]) if is_number else old[name]
                continue
            if name == "betas" and first_beta_is_scheduled and isinstance(old[name], (list, tuple)):
                value = (old[name][0], *value[1:])
            if name not in IMPLEMENTATION and _shown(old[name]) != _shown(value):
                text = f"{name} was {_shown(old[name])} and is {_shown(value)}, as configured"
                changes.setdefault(name, text)
            old[name] = value
    return [changes[name] for name in sorted(changes)]


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_shown, value))})"
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return f"{value:.6g}" if type(value) in (int, float) else str(value)
