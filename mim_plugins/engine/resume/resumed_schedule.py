"""Schedule and learning rate of a resumed run, which are those of its config."""

import math
from typing import Any

from mmengine.optim import BaseOptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

from ...errors import CheckpointError
from .configured_settings import follow_settings
from .fast_forward import fast_forward
from .resumed_position import ResumedPosition, move_position

# attributes of schedulers that change while they are stepped, or follow from the optimizer
_PROGRESS = ("base_values", "last_step", "_global_step", "_last_value", "verbose",
             "best", "num_bad_epochs", "cooldown_counter")  # fmt: skip
_DERIVED = ("initial_{}", "max_{}", "min_{}")  # keys of a parameter group beside a scheduled one


def apply_config_schedule(runner: Runner, checkpoint: dict) -> list[str]:
    """Let a checkpoint that is resumed follow the config's schedule and optimizer settings.

    MMEngine goes on with the checkpoint's, whatever the config has: to the old end, at the old
    rate, and in the iterations per epoch of the old number of GPUs. Here the schedulers of the
    config are brought to the checkpoint's position as if they had been stepped from the start.
    Where nothing differs, nothing is changed.

    Args:
        runner: its loop, optimizer and schedulers are built.
        checkpoint: that it is about to resume from; changed in place.

    Returns:
        What was changed, a line each.

    Raises:
        CheckpointError: the schedule depends on past metrics and has changed, or the position is
            not in the checkpoint.
    """
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers
    if not isinstance(checkpoint.get("meta"), dict) or not isinstance(wrapper, BaseOptimWrapper):
        return []
    position, changes = move_position(runner, checkpoint)
    optimizer, states = checkpoint.get("optimizer"), checkpoint.get("param_schedulers")
    new: Any = {}
    if isinstance(wrapper, OptimWrapperDict):
        for name, one in wrapper.items():
            own = [_part(each, name) for each in (schedulers, states, optimizer)]
            new[name], lines = _follow(one, own[0], own[1], own[2], position)
            changes += [f"{name}: {line}" for line in lines]
    else:
        new, lines = _follow(wrapper, schedulers, states, optimizer, position)
        changes += lines
    if schedulers is not None:
        checkpoint["param_schedulers"] = new
    return changes


def make_states_plain(checkpoint: dict) -> None:
    """Replace the functions in the schedulers' states of a checkpoint by their names.

    PyTorch would refuse to load them; :func:`apply_config_schedule` puts them back.
    """
    states = checkpoint.get("param_schedulers") or []
    for some in states.values() if isinstance(states, dict) else [states]:
        for state in some:
            state.update({k: v.__qualname__ for k, v in state.items() if callable(v)})


def _part(whole: Any, name: str) -> Any:
    return whole.get(name) if isinstance(whole, dict) else None


def _follow(
    wrapper: BaseOptimWrapper,
    schedulers: list | None,
    states: Any,
    optimizer: Any,
    position: ResumedPosition,
) -> tuple[list[dict], list[str]]:
    """Return the states to load into the schedulers of one optimizer, and what was changed."""
    built, saved, schedulers = wrapper.param_groups, _saved_groups(optimizer), schedulers or []
    states = [s for s in states if "param_name" in s] if isinstance(states, list) else []
    if saved and len(saved) != len(built):
        return states, []  # of another model, which PyTorch refuses
    scheduled = [each["param_name"] for each in states] + [each.param_name for each in schedulers]
    names = list(dict.fromkeys(["lr", *scheduled]))
    settings = follow_settings(wrapper.optimizer, built, saved, names) if saved else []
    changes = _changes(schedulers, states, position)
    changes += [line for name in names for line in _changed_base(name, saved, built)]
    if saved and not changes:
        same = zip(schedulers, states, strict=True)
        return [state | _functions(s) for s, state in same], settings

    kept = _kept_states(schedulers, states if saved else [], position)
    fast_forward(schedulers, built, position)
    new_states = [kept.get(index, s.state_dict()) for index, s in enumerate(schedulers)]
    held = {state["param_name"] for state in kept.values()}
    for old, new in zip(saved, built, strict=bool(saved)):
        for name in names:
            value = old[name] * _ratio(name, old, new) if name in held else new.get(name)
            _take(name, value, old, new)
    for state in kept.values():
        state["_last_value"] = [group[state["param_name"]] for group in saved]
    return new_states, [*changes, *settings]


def _saved_groups(optimizer: Any) -> list[dict]:
    """Return the checkpoint's parameter groups, as many as an optimizer wrapper has."""
    if not isinstance(optimizer, dict) or "param_groups" not in optimizer:
        return []
    base = optimizer.get("base_param_settings")  # one more group of MMEngine's, for the log
    return [*optimizer["param_groups"], *([base] if base else [])]


def _changes(schedulers: list, states: list, position: ResumedPosition) -> list[str]:
    if len(schedulers) != len(states):
        return [
            f"the checkpoint has {len(states)} schedulers, the config {len(schedulers)}: the"
            " schedule is the config's"
        ]
    others = [
        type(each).__name__
        for each, state in zip(schedulers, states, strict=True)
        if not _goes_on(each, state, position)
    ]
    return [f"{name} follows the config, not the checkpoint" for name in others]


def _goes_on(scheduler: Any, state: dict, position: ResumedPosition, *free: str) -> bool:
    """Whether a state is the scheduler's at this position, but for its progress and ``free``."""
    built = scheduler.state_dict() | _functions(scheduler, by_name=True)
    steps = position.epochs if scheduler.by_epoch else position.iterations
    return (
        built.keys() == state.keys()
        and state["_global_step"] == steps
        and all(_equal(built[key], state[key]) for key in built.keys() - {*_PROGRESS, *free})
    )


def _functions(scheduler: Any, by_name: bool = False) -> dict:
    """Return the attributes that :func:`make_states_plain` replaces."""
    found = {key: v for key, v in scheduler.state_dict().items() if callable(v)}
    return {key: v.__qualname__ for key, v in found.items()} if by_name else found


def _equal(first: Any, second: Any) -> bool:
    try:
        return bool(first == second)
    except (TypeError, ValueError, RuntimeError):  # arrays of other shapes
        return False


def _changed_base(name: str, saved: list[dict], built: list[dict]) -> list[str]:
    """Return a line if the values that a schedule starts from are others in the config."""
    values = [[g.get(f"initial_{name}", g.get(name)) for g in some] for some in (saved, built)]
    old, new = ([float(value) for value in some if value is not None] for some in values)
    if len(old) != len(new) or not old or all(map(math.isclose, old, new)):
        return []
    word = "learning rate" if name == "lr" else name
    return [f"the highest {word} was {max(old):.3g} and is {max(new):.3g}, as configured"]


def _ratio(name: str, saved: dict, built: dict) -> float:
    first = f"initial_{name}"
    return built[first] / saved[first] if saved.get(first) else 1.0


def _take(name: str, value: Any, saved: dict, built: dict) -> None:
    """Let a parameter group of the checkpoint have the value, and the config's derived ones."""
    keys = [name, *(derived.format(name) for derived in _DERIVED)]
    for key in keys:
        saved.pop(key, None)
    saved |= {key: built[key] for key in keys if key in built}
    if name in built:
        saved[name] = value
    if name == "momentum" and "betas" in built:  # Adam's, where schedulers set the first
        first = built["betas"][0] if name not in built else value
        saved["betas"] = (first, saved["betas"][1])


def _kept_states(schedulers: list, states: list, position: ResumedPosition) -> dict[int, dict]:
    """Return the states of schedules that follow from past metrics, by the schedulers' indices.

    Raises:
        CheckpointError: such a schedule is another one than the checkpoint's.
    """
    padded = [*states, *[{}] * len(schedulers)]
    by_metrics = [
        each for each, state in zip(schedulers, padded, strict=False)
        if _has_seen_metrics(each, state, position)
    ]  # fmt: skip
    kept = {}
    for metric in by_metrics:
        for index, each in enumerate(schedulers):
            if each.param_name != metric.param_name:
                continue
            free = ("end",) if _needs_metrics(each) else ()
            if len(states) != len(schedulers) or not _goes_on(each, states[index], position, *free):
                raise CheckpointError(
                    f"--resume: {type(metric).__name__} follows the metrics of past epochs, which"
                    " count for the checkpoint's schedule only, and the config's has another"
                    f" {type(each).__name__}. Keep the checkpoint's schedule, set the begin of"
                    f" {type(metric).__name__} to {position.epochs + 1}, or take the weights alone"
                    " (load_from)"
                )
            own = {key: vars(each)[key] for key in ("end", "base_values") if key in vars(each)}
            kept[index] = states[index] | own | _functions(each)
    return kept


def _needs_metrics(scheduler: Any) -> bool:
    return getattr(scheduler, "need_val_args", False)


def _has_seen_metrics(scheduler: Any, state: dict, position: ResumedPosition) -> bool:
    """Whether the config's run would have stepped the scheduler by metrics before the position."""
    if (
        not _needs_metrics(scheduler)
        or not position.iterations
        or scheduler.begin > position.epochs
    ):
        return False
    # as the checkpoint's run, which may not have been validated yet
    return not (state.get("last_step") == -1 and state.get("begin") == scheduler.begin)
