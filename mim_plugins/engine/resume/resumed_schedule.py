"""Schedule of a resumed run: progress from the checkpoint, everything else from the config."""

import math
from typing import Any

from mmengine.optim import BaseOptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

from ...errors import CheckpointError
from .configured_settings import apply_config_settings
from .contradictions import describe_contradictions, word
from .fast_forward import fast_forward
from .model_settings import compare_settings
from .resumed_position import ResumedPosition, convert_position
from .scheduler_state import plain_scheduler_state

# attributes of schedulers that change with each step or depend on the optimizer
_PROGRESS = ("base_values", "last_step", "_global_step", "_last_value", "verbose",
             "best", "num_bad_epochs", "cooldown_counter")  # fmt: skip
# keys of a parameter group that are derived from a scheduled one
_DERIVED = ("initial_{}", "max_{}", "min_{}")


def follow_config(runner: Runner, checkpoint: dict) -> None:
    """Adapt a loaded checkpoint with :func:`apply_config_schedule`; log each change."""
    settings = compare_settings(runner, checkpoint["meta"].get("model_settings"))[1]
    for change in filter(None, (settings, *apply_config_schedule(runner, checkpoint))):
        runner.logger.warning(f"Resuming: {change}")


def apply_config_schedule(runner: Runner, checkpoint: dict) -> list[str]:
    """Adapt a checkpoint to the config's schedule and optimizer settings.

    MMEngine always resumes the schedule of the checkpoint: its length, its learning rate and the
    iterations per epoch of the old number of GPUs. Here the schedulers of the config are stepped to
    the position of the checkpoint as if they had run from the start, so no rate of the file is
    used, except that of schedules which depend on past metrics.

    Args:
        runner: runner whose loop, optimizer and schedulers are built.
        checkpoint: checkpoint to resume from; changed in place.

    Returns:
        A message for each change.

    Raises:
        CheckpointError: the schedule depends on past metrics and has changed, or the checkpoint
            does not contain its position.
    """
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers
    if not isinstance(checkpoint.get("meta"), dict) or not isinstance(wrapper, BaseOptimWrapper):
        return []
    position, changes = convert_position(runner, checkpoint)
    optimizer, states = checkpoint.get("optimizer"), checkpoint.get("param_schedulers")
    new: Any = {}
    if isinstance(wrapper, OptimWrapperDict):
        for name, one in wrapper.items():
            own = [_select(each, name) for each in (schedulers, states, optimizer)]
            new[name], lines = _merge_states(one, own[0], own[1], own[2], position)
            changes += [f"{name}: {line}" for line in lines]
    else:
        new, lines = _merge_states(wrapper, schedulers, states, optimizer, position)
        changes += lines
    if schedulers is not None:
        checkpoint["param_schedulers"] = new
    return changes


def _select(whole: Any, name: str) -> Any:
    return whole.get(name) if isinstance(whole, dict) else None


def _merge_states(
    wrapper: BaseOptimWrapper,
    schedulers: list | None,
    states: Any,
    optimizer: Any,
    position: ResumedPosition,
) -> tuple[list[dict], list[str]]:
    """Return the states to load into the schedulers of one optimizer, and a line per change."""
    built, saved, schedulers = wrapper.param_groups, _saved_groups(optimizer), schedulers or []
    states = [s for s in states if "param_name" in s] if isinstance(states, list) else []
    if saved and len(saved) != len(built):
        return states, []  # another model, which PyTorch rejects
    scheduled = [each["param_name"] for each in states] + [each.param_name for each in schedulers]
    names = list(dict.fromkeys(["lr", *scheduled]))
    settings = apply_config_settings(wrapper.optimizer, built, saved, names) if saved else []
    kept = _metric_states(schedulers, states if saved else [], position)
    fast_forward(schedulers, built, position)
    changes = _schedule_changes(schedulers, states, position)
    changes += [line for name in names for line in _base_change(name, saved, built)]
    new_states = [kept.get(index, s.state_dict()) for index, s in enumerate(schedulers)]
    held = {state["param_name"] for state in kept.values()}
    if saved and not changes:
        free = [name for name in names if name not in held]
        changes = describe_contradictions(schedulers, states, saved, built, free)
    for old, new in zip(saved, built, strict=bool(saved)):
        for name in names:
            value = old[name] * _ratio(name, old, new) if name in held else new.get(name)
            _set_value(name, value, old, new)
    for state in kept.values():
        state["_last_value"] = [group[state["param_name"]] for group in saved]
    return new_states, [*changes, *settings]


def _saved_groups(optimizer: Any) -> list[dict]:
    """Return the parameter groups of the checkpoint that MMEngine's wrapper also lists."""
    if not isinstance(optimizer, dict) or "param_groups" not in optimizer:
        return []
    base = optimizer.get("base_param_settings")  # an additional group of MMEngine, for the log
    return [*optimizer["param_groups"], *([base] if base else [])]


def _schedule_changes(schedulers: list, states: list, position: ResumedPosition) -> list[str]:
    if len(schedulers) != len(states):
        return [
            f"the checkpoint has {len(states)} schedulers, the config {len(schedulers)}: the"
            " schedule is the config's"
        ]
    others = [
        type(each).__name__
        for each, state in zip(schedulers, states, strict=True)
        if not _is_unchanged(each, state, position)
    ]
    return [f"{name} follows the config, not the checkpoint" for name in others]


def _is_unchanged(scheduler: Any, state: dict, position: ResumedPosition, *free: str) -> bool:
    """Return whether a state equals the scheduler's, apart from progress and ``free`` keys."""
    built = plain_scheduler_state(scheduler)
    steps = position.epochs if scheduler.by_epoch else position.iterations
    # MMEngine's iteration loop steps schedulers of epochs once, at its end
    is_counted = position.counts_epochs or not scheduler.by_epoch
    return (
        built.keys() == state.keys()
        and (state["_global_step"] == steps or not is_counted)
        and all(_equal(built[key], state[key]) for key in built.keys() - {*_PROGRESS, *free})
    )


def _equal(first: Any, second: Any) -> bool:
    try:
        return bool(first == second)
    except (TypeError, ValueError, RuntimeError):  # arrays of different shapes
        return False


def _base_change(name: str, saved: list[dict], built: list[dict]) -> list[str]:
    """Return a message if the config has other initial values of a schedule."""
    values = [[g.get(f"initial_{name}", g.get(name)) for g in some] for some in (saved, built)]
    old, new = ([float(value) for value in some if value is not None] for some in values)
    if len(old) != len(new) or not old or all(map(math.isclose, old, new)):
        return []
    if math.isclose(max(old), max(new)):
        count = sum(not math.isclose(*pair) for pair in zip(old, new, strict=True))
        return [f"the {word(name)} of {count} parameter groups is another one, as configured"]
    return [f"the highest {word(name)} was {max(old):.3g} and is {max(new):.3g}, as configured"]


def _ratio(name: str, saved: dict, built: dict) -> float:
    first = f"initial_{name}"
    return built[first] / saved[first] if saved.get(first) else 1.0


def _set_value(name: str, value: Any, saved: dict, built: dict) -> None:
    """Set a value in a saved parameter group, with the derived keys of the config."""
    keys = [name, *(derived.format(name) for derived in _DERIVED)]
    for key in keys:
        saved.pop(key, None)
    saved |= {key: built[key] for key in keys if key in built}
    if name in built:
        saved[name] = value
    if name == "momentum" and "betas" in built:  # in Adam, momentum schedulers set the first beta
        first = built["betas"][0] if name not in built else value
        saved["betas"] = (first, saved["betas"][1])


def _metric_states(schedulers: list, states: list, position: ResumedPosition) -> dict[int, dict]:
    """Return the saved states of schedules that depend on past metrics, by scheduler index.

    Raises:
        CheckpointError: such a schedule differs from the checkpoint's.
    """
    padded = [*states, *[{}] * len(schedulers)]
    by_metrics = [
        each for each, state in zip(schedulers, padded, strict=False)
        if _has_past_metrics(each, state, position)
    ]  # fmt: skip
    kept = {}
    for metric in by_metrics:
        if not states:
            raise CheckpointError(
                f"--resume: {type(metric).__name__} depends on past metrics, but the checkpoint"
                " contains no state of a scheduler (its run had none, or"
                f" save_param_scheduler=False): {_remedy(metric, position)}"
            )
        for index, each in enumerate(schedulers):
            if each.param_name != metric.param_name:
                continue
            free = ("end",) if _needs_metrics(each) else ()
            same_length = len(states) == len(schedulers)
            if not (same_length and _is_unchanged(each, states[index], position, *free)):
                raise CheckpointError(
                    f"--resume: {type(metric).__name__} depends on past metrics, which are valid"
                    " for the checkpoint's schedule only, but the config has another"
                    f" {type(each).__name__}: keep the checkpoint's schedule, or"
                    f" {_remedy(metric, position)}"
                )
            state = each.state_dict()
            settings = {key: state[key] for key in state.keys() - set(_PROGRESS)}
            own = {key: state[key] for key in ("base_values",) if key in state}
            kept[index] = states[index] | settings | own
            if not position.counts_epochs and each.by_epoch:
                kept[index]["_global_step"] = 0  # as throughout an uninterrupted run
    return kept


def _remedy(metric: Any, position: ResumedPosition) -> str:
    begin = f"set begin of {type(metric).__name__} to {position.epochs + 1}, or "
    # it never begins later in a run that counts iterations
    return (begin if position.counts_epochs else "") + "load the weights alone (load_from)"


def _needs_metrics(scheduler: Any) -> bool:
    return getattr(scheduler, "need_val_args", False)


def _has_past_metrics(scheduler: Any, state: dict, position: ResumedPosition) -> bool:
    """Return whether a metric-based scheduler has been stepped before the position."""
    if (
        not _needs_metrics(scheduler)
        or not position.iterations
        or scheduler.begin > position.epochs
    ):
        return False
    # not if the checkpoint's run has the same begin and no validation yet
    return not (state.get("last_step") == -1 and state.get("begin") == scheduler.begin)
