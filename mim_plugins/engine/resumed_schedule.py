"""The learning rate of a resumed run: how far it is says the checkpoint, all else the config."""

import math
from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner

POSITION = "position_in_epoch"
"""Where a run's message hub holds epoch, batches and iterations ``of`` it; see the epoch loop."""


def follow_config(runner: Runner, checkpoint: dict) -> list[str]:
    """Let a checkpoint that is resumed follow the schedule and the learning rate of the config.

    MMEngine goes on with the checkpoint's, whatever the config has: to the old end, at the old
    rate, and in the iterations per epoch of the old number of GPUs. Where nothing differs, nothing
    is changed.

    Args:
        runner: its loop, optimizer and schedulers are built.
        checkpoint: that it is about to resume from; changed in place.

    Returns:
        What was changed, a line each.
    """
    if not isinstance(checkpoint.get("meta"), dict):
        return []
    schedulers, states = runner.param_schedulers, checkpoint.get("param_schedulers")
    if not isinstance(schedulers, list) or not isinstance(states, list):
        schedulers, states = [], []  # none, or those of several optimizers
    done = []
    old, new = _iterations_per_epoch(runner, checkpoint)
    if old != new:
        done.append(
            f"the checkpoint's epochs have {old} iterations, this run's {new}: it goes on at the"
            " same part of the run, but not with the same batches"
        )
        checkpoint["meta"]["iter"] = checkpoint["meta"]["iter"] * new // old
    for scheduler, state in zip(schedulers, states, strict=False):
        if _follow_length(scheduler, state, old, new) and old == new:
            done.append(f"{type(scheduler).__name__} follows the config, not the checkpoint")
    optimizer = checkpoint.get("optimizer") or {}
    if "param_groups" in optimizer:
        done += _follow_rate(runner, optimizer, states)
    return done


def _iterations_per_epoch(runner: Runner, checkpoint: dict) -> tuple[int, int]:
    """Those of the checkpoint's run, and of this one; equal where epochs do not count."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return 1, 1
    new = len(runner.train_dataloader)
    info = (checkpoint.get("message_hub") or {}).get("runtime_info", {})
    epochs, iterations = checkpoint["meta"].get("epoch", 0), checkpoint["meta"].get("iter", 0)
    if POSITION in info:
        return info[POSITION]["of"], new
    if epochs and iterations % epochs == 0:
        return iterations // epochs, new  # saved by another loop, at an epoch's end
    return new, new


def _follow_length(scheduler: Any, state: dict, old: int, new: int) -> bool:
    """Give the state of a scheduler that counts iterations the built one's length."""
    built = scheduler.state_dict()
    lengths = [key for key in ("begin", "end", "T_max", "total_iters") if key in built]
    same = all(built[key] == state.get(key) for key in lengths)
    if built["by_epoch"] or state.get("by_epoch", True) or (same and old == new):
        return False
    state.update({key: built[key] for key in lengths})
    state["_global_step"] = step = state["_global_step"] * new // old
    begun = step >= state["begin"]
    state["last_step"] = min(step, state["end"] - 1) - state["begin"] if begun else -1
    return True


def _follow_rate(runner: Runner, optimizer: dict, states: list[dict]) -> list[str]:
    """Scale the learning rates of the checkpoint's optimizer by the config's over its own."""
    groups = list(optimizer["param_groups"])
    if optimizer.get("base_param_settings"):  # one more group of MMEngine's, for the log
        groups.append(optimizer["base_param_settings"])
    built = runner.optim_wrapper.param_groups
    if len(groups) != len(built):
        return []
    old, new = ([each.get("initial_lr", each["lr"]) for each in some] for some in (groups, built))
    if all(map(math.isclose, old, new)) or 0 in old:
        return []
    for index, group in enumerate(groups):
        ratio = new[index] / old[index]
        group["lr"] *= ratio
        if "initial_lr" in group:
            group["initial_lr"] = new[index]
        for state in states:
            if state["param_name"] == "lr":
                state["base_values"][index] *= ratio
                state["_last_value"][index] *= ratio
    return [f"the highest learning rate was {max(old):.3g} and is {max(new):.3g}, as configured"]
