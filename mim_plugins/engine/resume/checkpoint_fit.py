"""Whether a checkpoint is of the model and the optimizer that are to be resumed from it."""

import inspect
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from ...checkpoints import describe_mismatch
from ...checkpoints.plain_data import describe
from ...errors import CheckpointError
from .averaged_weights import describe_other_average
from .class_fit import check_classes
from .optimizer_values import (
    PER_ELEMENT,
    describe_lacking_state,
    describe_settings,
    describe_values,
    needed_state,
)

_LISTED = 4


def check_fit(runner: Runner, checkpoint: dict | None, source: str) -> None:
    """Check that a run can go on from a training checkpoint.

    Args:
        runner: its model, and its optimizer if there is one, are built.
        checkpoint: whose types have been checked; None if the file holds weights alone.
        source: the file, for the message.

    Raises:
        CheckpointError: names, shapes or types of tensors differ, the optimizer is of another kind
            or has other groups of parameters, or the classes differ.
    """
    if checkpoint is None:
        raise CheckpointError(
            f"'{source}' holds weights alone, so no run can be resumed from it: leave out --resume,"
            f" and start a new run from these weights with --cfg-options load_from={source}"
        )
    problem = _other_model(runner, checkpoint["state_dict"])
    problem = problem or _other_heads(runner, checkpoint["meta"].get("num_heads"))
    average = checkpoint.get("ema_state_dict")
    problem = problem or describe_other_average(_model(runner).state_dict(), average)
    if problem:
        raise CheckpointError(
            f"'{source}' is of another model than the config's: {problem}; resume with the config"
            " of its run, or start a new run in another --work-dir"
        )
    if isinstance(runner.optim_wrapper, OptimWrapper):
        kind = checkpoint["meta"].get("optimizer_type")
        iterations = checkpoint["meta"].get("iter", 0)
        problem = _other_optimizer(runner.optim_wrapper, checkpoint["optimizer"], kind, iterations)
    if problem:
        raise CheckpointError(
            f"'{source}' is of another optimizer than the config's: {problem}; resume with the"
            " optim_wrapper of its run, or start a new run from its weights, without --resume and"
            f" with --cfg-options load_from={source}"
        )
    check_classes(runner, checkpoint, source)


def note_kinds(runner: Runner, checkpoint: dict) -> None:
    """Note in a checkpoint's ``meta`` what its tensors do not show.

    It is the kind of the optimizer, or kinds by name, and each attention's number of heads.
    """
    checkpoint["meta"]["num_heads"] = _heads(runner)
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict):
        kinds: Any = {name: _kind(each) for name, each in wrapper.items()}
    else:
        kinds = _kind(wrapper)
    checkpoint["meta"]["optimizer_type"] = kinds


def _kind(wrapper: OptimWrapper) -> str:
    optimizer = wrapper.optimizer
    return type(getattr(optimizer, "optim", optimizer)).__name__  # the sharded one's is inside


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _heads(runner: Runner) -> dict[str, int]:
    parts = _model(runner).named_modules()
    found = {name: getattr(part, "num_heads", None) for name, part in parts}
    return {name: heads for name, heads in found.items() if type(heads) is int}


def _other_heads(runner: Runner, given: dict[str, int] | None) -> str:
    """What differs in the numbers of heads, in words; empty if nothing, or if none were noted."""
    for name, heads in _heads(runner).items():
        if given is not None and given.get(name, heads) != heads:
            return f"{name} has {given[name]} heads in the file, {heads} in the model"
    return ""


def _other_model(runner: Runner, weights: dict[str, Tensor]) -> str:
    """What differs between the run's model and a checkpoint's, in words; empty if nothing."""
    own = _model(runner).state_dict()
    given = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    problem = describe_mismatch(own, given, allow_resize=False)
    if problem:
        return problem
    types = [
        f"{name} {given[name].dtype} in the file, {tensor.dtype} in the model"
        for name, tensor in own.items()
        if given[name].dtype != tensor.dtype
    ]
    return f"{len(types)} of another type: {', '.join(types[:_LISTED])}" if types else ""


def _other_optimizer(wrapper: Any, state: dict, kind: Any, iterations: int) -> str:
    """What differs between an optimizer, or several by name, and a saved state; empty if nothing.

    Args:
        wrapper: MMEngine's, of one optimizer or several.
        state: the saved one.
        kind: the saved optimizer's class, or classes by name; None in a file of MMEngine's hook.
        iterations: that the checkpoint's run had trained.
    """
    if not isinstance(wrapper, OptimWrapperDict):
        if "param_groups" not in state:
            return f"several optimizers ({', '.join(state)}) in the file, one in the config"
        return _other_state(wrapper, state, kind, iterations)
    own, given = sorted(wrapper.keys()), sorted(state)
    if "param_groups" in state or own != given:
        names = "one" if "param_groups" in state else ", ".join(given)
        return f"optimizers {names} in the file, {', '.join(own)} in the config"
    kinds = kind if isinstance(kind, dict) else {}
    found = (_other_state(wrapper[name], state[name], kinds.get(name), iterations) for name in own)
    return "; ".join(f"{name}: {text}" for name, text in zip(own, found, strict=True) if text)


def _other_state(wrapper: OptimWrapper, state: dict, kind: str | None, iterations: int) -> str:
    own, given = wrapper.optimizer.param_groups, state["param_groups"]
    settings = [set(groups[0]) - {"initial_lr"} if groups else set() for groups in (own, given)]
    if kind is None and settings[0] - settings[1] and settings[1] - settings[0]:
        only = ", ".join(sorted(settings[1] - settings[0]))
        return f"its settings ({only}) are none of {_kind(wrapper)}'s"
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
        for key in sorted(set(ours) - {"params", "initial_lr"}):
            # switches that the PyTorch of the file did not have are set by this one
            if not _alike(ours[key], theirs.get(key)):
                return (
                    f"{key} is {describe(theirs.get(key))} in the file, {describe(ours[key])} in"
                    " the config"
                )
        problem = describe_settings(ours, theirs) or _invalid_settings(wrapper.optimizer, theirs)
        if problem:
            return problem
    problem = describe_lacking_state(wrapper, state, iterations)
    return problem or _other_numbers(wrapper.optimizer, state)


def _invalid_settings(optimizer: Any, group: dict) -> str:
    """What the optimizer's own constructor has against a group's settings; empty if nothing."""
    kind = type(getattr(optimizer, "optim", optimizer))
    names = set(inspect.signature(kind).parameters) & set(group) - {"params"}
    try:
        kind([nn.Parameter(torch.zeros(1))], **{name: group[name] for name in names})
    except ValueError as error:
        return str(error)
    except Exception:  # of a class that is built in another way
        return ""
    return ""


def _alike(own: Any, given: Any) -> bool:
    """Whether two settings are of one kind: numbers, switches, texts or rows of equal length."""
    if own is None or isinstance(own, bool):
        kinds = (bool,) if own is not None else (bool, int, float)
        return given is None or isinstance(given, kinds)
    if isinstance(own, (list, tuple)):
        is_row = isinstance(given, (list, tuple)) and len(own) == len(given)
        return is_row and all(map(_alike, own, given))
    if isinstance(own, (int, float, Tensor)):
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        return is_number or (isinstance(given, Tensor) and given.numel() == 1)
    return type(own) is type(given)


def _other_numbers(optimizer: Any, state: dict) -> str:
    params, needed = [], []
    for ours, theirs in zip(optimizer.param_groups, state["param_groups"], strict=True):
        params += ours["params"]
        needed += [needed_state(optimizer, theirs)] * len(ours["params"])
        more = set(needed_state(optimizer, ours)).difference(needed_state(optimizer, theirs))
        if more and not isinstance(optimizer, torch.optim.SGD):  # which begins with a gradient
            return f"the config's settings need {', '.join(sorted(more))}, which the file lacks"
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    if len(set(numbers)) != len(numbers):
        return "a parameter is in two groups of the file"
    for number, param, keys in zip(numbers, params, needed, strict=True):
        entries = state["state"].get(number)
        if entries is None:  # a parameter that never had a gradient
            continue
        lacking = [key for key in keys if entries.get(key) is None]
        if lacking:
            return f"{lacking[0]} of parameter {number} is missing in the file"
        for key, value in entries.items():
            if key in PER_ELEMENT and value is not None:
                given = tuple(getattr(value, "shape", ()))
                if given != tuple(param.shape):
                    return (
                        f"{key} of parameter {number} has the shape {given} in the file, and the"
                        f" parameter {tuple(param.shape)}"
                    )
        problem = describe_values(param, entries)
        if problem:
            return f"parameter {number}: {problem}"
    return ""
