"""Settings of a model that its tensors do not determine, such as the shift of windows."""

from typing import Any
from weakref import WeakKeyDictionary

from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ...wording import listed
from ..model_wrapper import class_of, unwrap_model

_SIMPLE = (bool, int, float, str)
# settings with which the same weights are another network
_STRUCTURE = (
    "type", "approximate", "attends_globally", "dilation", "eps", "groups", "kernel_size",
    "negative_slope", "num_heads", "padding", "padding_mode", "shift_size", "shifted", "stride",
    "window", "window_size",
)  # fmt: skip
# settings that do not change what is learned
_FREE = ("frozen_stages", "inplace", "training", "with_cp")
_LARGEST_BUFFER = 16
_LONGEST = 60  # characters of a value
_noted: WeakKeyDictionary[Any, dict[str, dict[str, Any]]] = WeakKeyDictionary()


def note_settings(runner: Runner) -> None:
    """Note the model's settings before training, in which some modules count their steps."""
    _noted[runner] = read_settings(runner)


def noted_settings(runner: Runner) -> dict[str, dict[str, Any]]:
    """Return the settings of :func:`note_settings`, or the present ones without it."""
    return _noted[runner] if runner in _noted else read_settings(runner)


def read_settings(runner: Runner) -> dict[str, dict[str, Any]]:
    """Return numbers, texts and types that are attributes of the model's modules, by module."""
    modules = unwrap_model(runner.model).named_modules()
    return {name: _settings(module) for name, module in modules}


def compare_settings(runner: Runner, given: Any) -> tuple[str, str]:
    """Describe settings that differ from a checkpoint's.

    Args:
        runner: runner whose model has not been trained yet.
        given: settings in the checkpoint, None if it does not contain any.

    Returns:
        The differences with which the weights are another network, and all others.
    """
    found: tuple[list[str], list[str]] = ([], [])
    for name, own in read_settings(runner).items() if isinstance(given, dict) else ():
        theirs = given.get(name)
        for key in own.keys() & (theirs.keys() if isinstance(theirs, dict) else set()):
            ours, saved = repr(own[key])[:_LONGEST], repr(theirs[key])[:_LONGEST]
            if ours != saved:  # also if both are NaN
                text = f"{name or 'model'}.{key} is {saved} in the file, {ours} in the model"
                found[key not in _STRUCTURE].append(text)
    structure, other = (listed(sorted(each)) for each in found)
    return structure, other


def _settings(module: nn.Module) -> dict[str, Any]:
    kind = "BatchNorm" if isinstance(module, _NormBase) else class_of(module).__name__
    found: dict[str, Any] = dict(type=kind)
    for name, value in vars(module).items():
        if name.startswith("_") or name in _FREE:
            continue
        is_row = type(value) in (tuple, list)
        parts = list(value) if is_row else [value]
        if all(type(part) in _SIMPLE for part in parts):
            found[name] = parts if is_row else value
    for name in module._non_persistent_buffers_set:
        buffer = module._buffers.get(name)
        if buffer is not None and buffer.numel() <= _LARGEST_BUFFER:
            found[name] = buffer.flatten().tolist()
    return found
