"""Settings of a resumed run's optimizer, which are those of its config."""

import inspect
import math
from collections.abc import Collection
from typing import Any

from torch import Tensor

from .optimizer_values import IMPLEMENTATION


def follow_settings(
    optimizer: Any, built: list[dict], saved: list[dict], scheduled: Collection[str]
) -> list[str]:
    """Replace the settings in a checkpoint's parameter groups by the config's.

    Settings are arguments of the optimizer's class. All else in a group may be progress.

    Args:
        optimizer: the run's.
        built: its groups, as configured.
        saved: the checkpoint's groups, as many; changed in place.
        scheduled: names that schedulers set, the learning rate among them.

    Returns:
        A line for each setting that was changed.
    """
    known = inspect.signature(type(getattr(optimizer, "optim", optimizer))).parameters
    first_beta_is_scheduled = "momentum" in scheduled
    changes: dict[str, str] = {}
    for new, old in zip(built, saved, strict=True):
        for name in (known.keys() & new.keys() & old.keys()) - {"params"}:
            value = new[name]
            if name in scheduled:
                is_number = isinstance(old[name], Tensor) and isinstance(value, (int, float))
                old[name] = float(old[name]) if is_number else old[name]
                continue
            if name == "betas" and first_beta_is_scheduled:
                value = (old[name][0], *value[1:])
            if name not in IMPLEMENTATION and not _equal(old[name], value):
                text = f"{name} was {_shown(old[name])} and is {_shown(value)}, as configured"
                changes.setdefault(name, text)
            old[name] = value
    return [changes[name] for name in sorted(changes)]


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(_equal, first, second))
    numbers = (int, float, Tensor)
    if isinstance(first, numbers) and isinstance(second, numbers):
        return math.isclose(float(first), float(second))
    return bool(first == second)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_shown, value))})"
    is_number = isinstance(value, (int, float, Tensor)) and not isinstance(value, bool)
    return f"{float(value):.6g}" if is_number else str(value)
