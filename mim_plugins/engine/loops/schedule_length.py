"""Checks of the lengths and intervals of a training loop and its hooks."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

from mmengine.hooks import CheckpointHook, Hook

from ...errors import ConfigError

_NEVER = -1  # interval that disables a hook of MMEngine


def check_count(name: str, value: Any) -> None:
    """Check that a number of epochs or iterations is an integer of at least 1.

    Raises:
        ConfigError: it is not; the message contains ``name`` and ``value``.
    """
    if not _is_whole(value) or value < 1:
        raise ConfigError(f"{name}={value!r} must be a whole number of at least 1")


def check_intervals(validation: Iterable, hooks: Iterable[Hook]) -> None:
    """Check the intervals of the validation and of the hooks.

    Args:
        validation: ``val_interval``, followed by the intervals of ``dynamic_intervals``.
        hooks: hooks of the run.

    Raises:
        ConfigError: an interval is below 1 (hooks also accept -1, MMEngine's value for "never"), or
            that of the checkpoint hook is not an integer.
    """
    for index, value in enumerate(validation):
        check_count(
            f"train_cfg.{'dynamic_intervals: interval' if index else 'val_interval'}", value
        )
    for hook in hooks:
        for name, value in _intervals(hook):
            _check_interval(f"{type(hook).__name__}: {name}", value, hook)


def _check_interval(name: str, value: Any, hook: Hook) -> None:
    is_wrong = isinstance(value, bool)
    if isinstance(hook, CheckpointHook):
        is_wrong |= not _is_whole(value)
    if is_wrong or (isinstance(value, Real) and value != _NEVER and not float(value) > 0):
        raise ConfigError(
            f"{name}={value!r} must be a whole number of at least 1, or {_NEVER} for never"
        )


def _intervals(hook: Hook) -> list[tuple[str, Any]]:
    """Return the intervals of a hook, including those in its dicts (``EMAHook.ema_cfg``)."""
    found = []
    for name, value in vars(hook).items():
        parts = value if isinstance(value, dict) else {name: value}
        found += [(key, part) for key, part in parts.items() if str(key).endswith("interval")]
    return found


def _is_whole(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value) and float(value).is_integer()
