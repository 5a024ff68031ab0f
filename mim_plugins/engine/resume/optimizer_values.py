"""Checks of an optimizer's saved state for values that no optimizer writes."""

import inspect
import math
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, cast

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

# entries with the shape of the parameter
PER_ELEMENT = (
    "acc_delta",
    "exp_avg",
    "exp_avg_sq",
    "exp_inf",
    "grad_avg",
    "max_exp_avg_sq",
    "momentum_buffer",
    "prev",
    "square_avg",
)
IMPLEMENTATION = ("capturable", "differentiable", "foreach", "fused")
"""Settings that select an implementation without changing the result."""

_NEVER_NEGATIVE = ("acc_delta", "exp_avg_sq", "exp_inf", "max_exp_avg_sq", "square_avg", "sum")
_MEANING = ("amsgrad", "centered", "maximize")  # settings that change the result
_MOST_STEPS = 2**53
_LOSS_SCALE_SEARCH = 100  # iterations in which float16 may skip all updates


def describe_settings(own: dict, given: dict) -> str:
    """Describe a setting that gives a saved group's state another meaning; empty if none."""
    for name in _MEANING:
        if isinstance(given.get(name), bool) and given[name] != own.get(name, given[name]):
            return f"{name} is {given[name]} in the file, {own[name]} in the config"
    return ""


def describe_values(param: Tensor, entries: dict) -> str:
    """Describe an invalid value in the saved state of one parameter; empty if none."""
    for name, value in entries.items():
        if name == "step":
            problem = _describe_step(value, entries)
        elif isinstance(value, Tensor):
            problem = _describe_numbers(name, value, param)
        else:
            problem = ""
        if problem:
            return problem
    return ""


def describe_missing_state(wrapper: OptimWrapper, state: dict, iterations: int) -> str:
    """Describe the missing state of a saved optimizer that was stepped; empty if none is missing.

    Args:
        wrapper: optimizer wrapper of the config.
        state: saved state.
        iterations: completed iterations of the checkpoint's run.
    """
    groups = wrapper.optimizer.param_groups
    is_trained = any(param.requires_grad for group in groups for param in group["params"])
    first = getattr(wrapper, "_accumulative_counts", 1)
    if state.get("loss_scaler"):
        first = max(first, _LOSS_SCALE_SEARCH)
    if state["state"] or not is_trained or iterations < first:
        return ""
    kept = expected_state(wrapper.optimizer, state["param_groups"][0])
    return f"{', '.join(kept)} of all parameters are missing in the file" if kept else ""


def count_updates(state: dict) -> int | None:
    """Return the largest ``step`` in the state of an optimizer.

    The result is 0 without any state, and None if the optimizer does not count its steps.
    """
    if not state["state"]:
        return 0
    steps = [float(each["step"]) for each in state["state"].values() if "step" in each]
    return int(max(filter(math.isfinite, steps), default=0)) if steps else None


def updates_by_name(noted: Any, states: dict[str, dict]) -> dict[str, int | None]:
    """Return the number of updates of each of several optimizers, None if unknown.

    Args:
        noted: ``updates`` of the checkpoint's ``meta``. In files of MMEngine's hook and of earlier
            versions, it is not a dict. One optimizer without state may then begin later.
        states: saved states.
    """
    if isinstance(noted, dict):
        return {name: noted.get(name) for name in states}
    if any(each["state"] for each in states.values()):
        return {name: None if each["state"] else 0 for name, each in states.items()}
    return dict.fromkeys(states, noted)


def expected_state(optimizer: Any, settings: dict) -> tuple[str, ...]:
    """Return the names of an optimizer's state entries per parameter, for these settings.

    They are determined by a trial step on one number. A class with another constructor has none.
    """
    kind = type(getattr(optimizer, "optim", optimizer))  # inside the sharded one
    known = inspect.signature(kind).parameters
    chosen = {
        name: value
        for name, value in settings.items()
        if name in known and name not in ("params", "lr", "weight_decay", *IMPLEMENTATION)
    }
    return _kept_by(cast(Hashable, kind), repr(sorted(chosen.items())), _Hidden(chosen))


class _Hidden:
    """Arguments that are not part of the cache key."""

    def __init__(self, arguments: dict) -> None:
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _kept_by(kind: Any, key: str, hidden: _Hidden) -> tuple[str, ...]:
    param = nn.Parameter(torch.zeros(1))
    param.grad = torch.zeros(1)
    try:
        optimizer = kind([param], lr=0.1, **hidden.arguments)
        optimizer.step()
    except Exception:
        return ()
    names = ("step", *PER_ELEMENT)
    return tuple(n for n, v in optimizer.state[param].items() if n in names and v is not None)


def _describe_step(value: Any, entries: dict) -> str:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(value, Tensor):
        is_real = value.numel() == 1 and not value.is_complex() and value.dtype != torch.bool
    if not is_real:
        return "step is not a count"
    steps = float(value)
    moment = entries.get("exp_avg")
    has_begun = isinstance(moment, Tensor) and bool(moment.any())
    if not (int(has_begun) <= steps <= _MOST_STEPS and steps == math.floor(steps)):
        return f"step is {steps:g}, which is not a valid number of updates"
    return ""


def _describe_numbers(name: str, value: Tensor, param: Tensor) -> str:
    is_float = value.is_floating_point()
    if name in PER_ELEMENT and value.dtype != param.dtype:
        kinds = [str(kind).removeprefix("torch.") for kind in (value.dtype, param.dtype)]
        return f"{name} contains {kinds[0]} numbers, but the parameter is {kinds[1]}"
    if not is_float or not value.numel():
        return ""
    low, high = (float(edge) for edge in torch.aminmax(value.detach()))
    limit = torch.finfo(param.dtype).max if param.is_floating_point() else math.inf
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{name} contains NaN or infinite values"
    if max(-low, high) > limit:
        return f"{name} contains {max(-low, high):.3g}, beyond the range of the parameter's type"
    return f"{name} contains negative values" if name in _NEVER_NEGATIVE and low < 0 else ""
