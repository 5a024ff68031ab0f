"""Checks that a checkpoint belongs to the model and the optimizer of the resumed run."""

from typing import Any

import torch
from mmengine.optim import BaseOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from ...checkpoints import describe_mismatch
from ...errors import CheckpointError
from ..model_wrapper import unwrap_model
from .averaged_weights import describe_average_mismatch
from .class_check import check_classes
from .model_settings import compare_settings, noted_settings
from .optimizer_values import (
    PER_ELEMENT,
    count_updates,
    describe_missing_state,
    describe_settings,
    describe_values,
    expected_state,
    updates_by_name,
)

_MAX_LISTED = 4


def check_compatible(runner: Runner, checkpoint: dict | None, source: str) -> None:
    """Check that a run can be resumed from a training checkpoint.

    Args:
        runner: runner whose model and optimizer, if any, are built.
        checkpoint: checkpoint with checked types; None if the file contains weights alone.
        source: path of the file, for the message.

    Raises:
        CheckpointError: tensors differ in name, shape or type, the optimizer has another type or
            other parameter groups, or the classes differ.
    """
    if checkpoint is None:
        raise CheckpointError(
            f"'{source}' contains weights alone, so no run can be resumed from it: remove --resume"
            f" and start a new run from these weights with --cfg-options load_from={source}"
        )
    problem = _model_difference(runner, checkpoint["state_dict"])
    problem = problem or compare_settings(runner, checkpoint["meta"].get("model_settings"))[0]
    weights = unwrap_model(runner.model).state_dict()
    problem = problem or describe_average_mismatch(weights, checkpoint.get("ema_state_dict"))
    if problem:
        raise CheckpointError(
            f"'{source}' belongs to a different model than the config describes: {problem};"
            " resume with the config of its run, or start a new run in another --work-dir"
        )
    if isinstance(runner.optim_wrapper, OptimWrapper):
        problem = _optimizer_difference(
            runner.optim_wrapper, checkpoint["optimizer"], checkpoint["meta"]
        )
    if problem:
        raise CheckpointError(
            f"'{source}' belongs to a different optimizer than the config describes:"
            f" {problem}; resume with the optim_wrapper of its run, or start a new run from"
            f" its weights, without --resume and with --cfg-options load_from={source}"
        )
    check_classes(runner, checkpoint, source)


def add_compatibility_meta(runner: Runner, checkpoint: dict) -> None:
    """Add compatibility information to a checkpoint's ``meta``, for :func:`check_compatible`.

    It consists of the optimizer's type and its number of updates (of several, by name), and the
    settings of the model that its tensors do not determine, such as the heads of each attention.
    """
    checkpoint["meta"]["model_settings"] = noted_settings(runner)
    wrapper, optimizer = runner.optim_wrapper, checkpoint.get("optimizer")
    if not isinstance(wrapper, BaseOptimWrapper):
        return  # MMEngine has not built it yet, and the checkpoint contains weights alone
    if isinstance(wrapper, OptimWrapperDict):
        kinds: Any = {name: _kind(each) for name, each in wrapper.items()}
        updates: Any = {name: count_updates(each) for name, each in (optimizer or {}).items()}
    else:
        kinds, updates = _kind(wrapper), count_updates(optimizer) if optimizer else None
    checkpoint["meta"]["optimizer_type"] = kinds
    if optimizer:
        checkpoint["meta"]["updates"] = updates


def _kind(wrapper: BaseOptimWrapper) -> str:
    optimizer = wrapper.optimizer
    return type(getattr(optimizer, "optim", optimizer)).__name__  # inside the sharded one


def _model_difference(runner: Runner, weights: dict[str, Tensor]) -> str:
    """Describe the difference between the run's model and a checkpoint's; empty if none."""
    own = unwrap_model(runner.model).state_dict()
    given = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    problem = describe_mismatch(own, given, allow_resize=False)
    if problem:
        return problem
    types = [
        f"{name} {given[name].dtype} in the file, {tensor.dtype} in the model"
        for name, tensor in own.items()
        if given[name].dtype != tensor.dtype
    ]
    return f"{len(types)} of another type: {', '.join(types[:_MAX_LISTED])}" if types else ""


def _optimizer_difference(wrapper: Any, state: dict, meta: dict) -> str:
    """Describe the difference between an optimizer and a saved state; empty if none.

    Args:
        wrapper: MMEngine's wrapper of one optimizer or several.
        state: saved state.
        meta: ``meta`` of the checkpoint. ``optimizer_type`` is the class name of the saved
            optimizer, or class names by optimizer name; missing in a file of MMEngine's hook.
    """
    kind, updates = meta.get("optimizer_type"), meta.get("updates")
    iterations = meta.get("iter", 0)
    if not isinstance(wrapper, OptimWrapperDict):
        if "param_groups" not in state:
            return f"several optimizers ({', '.join(state)}) in the file, one in the config"
        return _state_difference(wrapper, state, kind, updates, iterations)
    own, given = sorted(wrapper.keys()), sorted(state)
    if "param_groups" in state or own != given:
        names = "one" if "param_groups" in state else ", ".join(given)
        return f"optimizers {names} in the file, {', '.join(own)} in the config"
    kinds, counts = kind if isinstance(kind, dict) else {}, updates_by_name(updates, state)
    found = (
        _state_difference(wrapper[name], state[name], kinds.get(name), counts[name], iterations)
        for name in own
    )
    return "; ".join(f"{name}: {text}" for name, text in zip(own, found, strict=True) if text)


def _state_difference(
    wrapper: OptimWrapper, state: dict, kind: str | None, updates: int | None, iterations: int
) -> str:
    own, given = wrapper.optimizer.param_groups, state["param_groups"]
    settings = [set(groups[0]) - {"initial_lr"} if groups else set() for groups in (own, given)]
    if kind is None and settings[0] - settings[1] and settings[1] - settings[0]:
        only = ", ".join(sorted(settings[1] - settings[0]))
        return f"its settings ({only}) do not exist in {_kind(wrapper)}"
    if kind is not None and kind != _kind(wrapper):
        return f"{kind} in the file, {_kind(wrapper)} in the config"
    if len(own) != len(given):
        return f"{len(given)} groups of parameters in the file, {len(own)} in the config"
    for number, (ours, theirs) in enumerate(zip(own, given, strict=True)):
        if len(ours["params"]) != len(theirs["params"]):
            return (
                f"group {number} has {len(theirs['params'])} parameters in the file,"
                f" {len(ours['params'])} in the config"
            )
        problem = describe_settings(ours, theirs)
        if problem:
            return problem
    # without an update, as during a long accumulation of gradients, there is no state
    problem = describe_missing_state(wrapper, state, 0 if updates == 0 else iterations)
    problem = problem or _state_problem(wrapper.optimizer, state)
    steps = count_updates(state)
    if not problem and updates is not None and updates != steps:
        return f"its step is {steps}, but its run has made {updates} updates"
    return problem


def _state_problem(optimizer: Any, state: dict) -> str:
    params, expected = [], []
    for ours, theirs in zip(optimizer.param_groups, state["param_groups"], strict=True):
        params += ours["params"]
        expected += [expected_state(optimizer, theirs)] * len(ours["params"])
        more = set(expected_state(optimizer, ours)).difference(expected_state(optimizer, theirs))
        if more and not isinstance(optimizer, torch.optim.SGD):  # starts with a gradient
            return f"the config's settings need {', '.join(sorted(more))}, missing in the file"
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    if len(set(numbers)) != len(numbers):
        return "a parameter is in two groups of the file"
    for number, param, keys in zip(numbers, params, expected, strict=True):
        entries = state["state"].get(number)
        if entries is None:  # a parameter without any gradient so far
            continue
        missing = [key for key in keys if entries.get(key) is None]
        if missing:
            return f"{missing[0]} of parameter {number} is missing in the file"
        for key, value in entries.items():
            if key in PER_ELEMENT and value is not None:
                given = tuple(getattr(value, "shape", ()))
                if given != tuple(param.shape):
                    return (
                        f"{key} of parameter {number} has shape {given} in the file, but the"
                        f" parameter has shape {tuple(param.shape)}"
                    )
        problem = describe_values(param, entries)
        if problem:
            return f"parameter {number}: {problem}"
    return ""
