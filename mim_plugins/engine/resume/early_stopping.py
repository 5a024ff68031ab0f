"""State of MMEngine's EarlyStoppingHook in checkpoints."""

import math
from typing import Any
from weakref import WeakKeyDictionary

from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import Runner

EARLY_STOPPING = "early_stopping"
"""Message hub key of a list with ``monitor``, ``rule``, ``wait_count`` and ``best_score``.

A hook with ``check_finite`` that a metric has stopped also has this metric as ``non_finite``.
"""

_non_finite: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def add_early_stopping(runner: Runner, checkpoint: dict) -> None:
    """Add the counts and best scores of the run's hooks to a checkpoint that is about to be saved.

    Without them, a resumed run would begin to count, and a run that is often interrupted would
    never stop.
    """
    states = [
        dict(_identity(hook), wait_count=hook.wait_count, best_score=float(hook.best_score))
        | ({"non_finite": _non_finite[hook]} if hook in _non_finite else {})
        for hook in _hooks(runner)
    ]
    info = checkpoint["message_hub"]["runtime_info"]
    info.pop(EARLY_STOPPING, None)
    if states:
        info[EARLY_STOPPING] = states


def note_metrics(runner: Runner, metrics: dict) -> None:
    """Note the non-finite metrics of a validation that stop the run.

    Other reasons to stop follow from the counts and best scores of the hooks.
    """
    for hook in _hooks(runner):
        _non_finite.pop(hook, None)
        if hook.monitor in metrics and not math.isfinite(metrics[hook.monitor]):
            _non_finite[hook] = float(metrics[hook.monitor])


def restore_early_stopping(runner: Runner) -> None:
    """Restore the counts and best scores of a resumed run, and stop it if a hook had stopped it.

    The hooks are also moved before the first checkpoint hook, because a checkpoint saved after a
    validation must contain their state after this validation.
    """
    hooks = _hooks(runner)
    if not hooks:
        return
    _move_before_checkpoints(runner, hooks)
    if not runner._resume or not runner.iter:
        return
    states = list(runner.message_hub.runtime_info.get(EARLY_STOPPING, ()))
    for hook in hooks:
        state = next((each for each in states if _identity(hook).items() <= each.items()), None)
        if state is None:
            runner.logger.warning(
                f"Resuming: the checkpoint has no count of EarlyStoppingHook for '{hook.monitor}'"
                f" with rule '{hook.rule}': it begins at 0"
            )
            continue
        states.remove(state)
        hook.wait_count, hook.best_score = state["wait_count"], state["best_score"]
        if "non_finite" in state:
            _non_finite[hook] = state["non_finite"]
        reason = _reason_to_stop(hook)
        if reason:
            runner.train_loop.stop_training = True
            runner.logger.warning(
                f"Resuming: EarlyStoppingHook had stopped this run, because {reason}"
            )


def _hooks(runner: Runner) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def _identity(hook: EarlyStoppingHook) -> dict[str, Any]:
    return dict(monitor=hook.monitor, rule=hook.rule)


def _move_before_checkpoints(runner: Runner, hooks: list[EarlyStoppingHook]) -> None:
    others = [hook for hook in runner.hooks if hook not in hooks]
    savers = [index for index, hook in enumerate(others) if isinstance(hook, CheckpointHook)]
    first = min(savers, default=len(others))
    # a new list, because MMEngine may iterate over the former one
    runner._hooks = [*others[:first], *hooks, *others[first:]]


def _reason_to_stop(hook: EarlyStoppingHook) -> str:
    """Return why a hook has stopped the run and how to continue, empty if it has not."""
    if hook.check_finite and hook in _non_finite:
        return f"'{hook.monitor}' was {_non_finite[hook]}; to continue, set check_finite=False"
    others = "; to continue, change patience or stopping_threshold"
    if hook.wait_count >= max(hook.patience, 1):
        return f"'{hook.monitor}' did not improve in {hook.wait_count} validations{others}"
    threshold = hook.stopping_threshold
    if threshold is not None and hook.rule_map[hook.rule](hook.best_score, threshold):
        return f"'{hook.monitor}' reached {threshold}{others}"
    return ""
