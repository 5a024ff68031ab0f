"""Checks of the lengths, intervals and units of a training loop, its hooks and schedulers."""

import logging
import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

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


def check_units(runner: Runner) -> None:
    """Check that nothing counts epochs in a run that counts iterations.

    Such a run is a single epoch of MMEngine: hooks would act only at its end, and schedulers would
    keep their first value. Schedulers of metrics step at validations, in either unit. Warnings name
    a checkpoint hook with MMEngine's default, which saves the end, and other settings in epochs.

    Raises:
        ConfigError: another hook with an interval, or a scheduler, has ``by_epoch=True``.
    """
    for hook in runner.hooks:
        name, interval = type(hook).__name__, getattr(hook, "interval", _NEVER)
        is_active = isinstance(interval, Real) and float(interval) > 0
        if getattr(hook, "by_epoch", False) is True and is_active:
            text = (
                f"{name}: interval={interval} counts epochs (by_epoch=True), but this run counts"
                " iterations, so the hook would act only at the end; set by_epoch=False and"
                " interval to a number of iterations"
            )
            if not (isinstance(hook, CheckpointHook) and interval == 1):
                raise ConfigError(text)
            print_log(text, "current", logging.WARNING)
        for field, value in vars(hook).items():
            if "epoch" in field and field[0] != "_" and _is_whole(value) and value > 1:
                text = (
                    f"{name}: {field}={value} counts epochs, but this run counts iterations and is"
                    " a single epoch for hooks"
                )
                print_log(text, "current", logging.WARNING)
    schedulers = runner.param_schedulers or []
    for some in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
        for scheduler in some:
            if scheduler.by_epoch and not getattr(scheduler, "need_val_args", False):
                raise ConfigError(
                    f"param_scheduler: {type(scheduler).__name__} counts epochs (by_epoch=True),"
                    " but this run counts iterations, so it would never step; set by_epoch=False,"
                    " and begin, end and T_max to numbers of iterations"
                )


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
