"""State of MMEngine's EarlyStoppingHook in checkpoints."""

from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.runner import Runner

EARLY_STOPPING = "early_stopping"
"""Message hub key of a list with ``monitor``, ``rule``, ``wait_count`` and ``best_score``."""


def add_early_stopping(runner: Runner, checkpoint: dict) -> None:
    """Add the counts and best scores of the run's hooks to a checkpoint that is about to be saved.

    Without them, a resumed run would begin to count, and a run that is often interrupted would
    never stop.
    """
    states = [
        dict(_identity(hook), wait_count=hook.wait_count, best_score=float(hook.best_score))
        for hook in _hooks(runner)
    ]
    info = checkpoint["message_hub"]["runtime_info"]
    info.pop(EARLY_STOPPING, None)
    if states:
        info[EARLY_STOPPING] = states


def restore_early_stopping(runner: Runner) -> None:
    """Restore the counts and best scores of a resumed run, and stop it if a hook had stopped it.

    The hooks are also moved before the first checkpoint hook, so that a checkpoint saved after a
    validation contains their state after this validation.
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
        reason = _reason_to_stop(hook)
        if reason:
            runner.train_loop.stop_training = True
            runner.logger.warning(
                f"Resuming: EarlyStoppingHook had stopped this run, because {reason}; to continue,"
                " change patience or stopping_threshold"
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
    if hook.wait_count >= max(hook.patience, 1):
        return f"'{hook.monitor}' did not improve in {hook.wait_count} validations"
    threshold = hook.stopping_threshold
    if threshold is not None and hook.rule_map[hook.rule](hook.best_score, threshold):
        return f"'{hook.monitor}' reached {threshold}"
    return ""
