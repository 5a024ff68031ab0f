"""Comparison of a checkpoint's scheduled values with its own schedule and position."""

import math
from typing import Any


def describe_contradictions(
    schedulers: list, states: list, saved: list[dict], built: list[dict], names: list[str]
) -> list[str]:
    """Return a message if values of a checkpoint disagree with its schedule and position.

    Args:
        schedulers: schedulers of the config, at the position of the checkpoint.
        states: their states in the checkpoint.
        saved: parameter groups of the checkpoint.
        built: parameter groups of the config, at the position of the checkpoint.
        names: scheduled values that do not depend on metrics.
    """
    found = []
    for name in names:
        pairs = [(old.get(name), new.get(name)) for old, new in zip(saved, built, strict=True)]
        wrong = [pair for pair in pairs if not _close(*pair)]
        for old, new in wrong[:1]:
            if old is not None and new is not None:
                found.append(f"{word(name)} {float(old):.6g}, not {float(new):.6g}")
    for scheduler, state in zip(schedulers, states, strict=True):
        if scheduler.param_name in names:
            found += [
                f"{key} of {type(scheduler).__name__}"
                for key in ("base_values", "last_step", "_last_value")
                # schedulers that follow a metric have no base_values
                if not _close(state.get(key), getattr(scheduler, key, None))
            ]
    if not found:
        return []
    return [
        "values of the checkpoint are not those of the schedule at its position"
        f" ({', '.join(found)}): the config's values are used"
    ]


def _close(first: Any, second: Any) -> bool:
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_close, first, second))
    if first is None or second is None:
        return first is second
    return math.isclose(float(first), float(second), rel_tol=1e-6)


def word(name: str) -> str:
    """Return the name of a scheduled value for messages."""
    return "learning rate" if name == "lr" else name
