"""Averaged weights of MMEngine's EMAHook in a checkpoint that a run is resumed from.

The hook stores the averages under ``state_dict``, for deployment, and the trained weights under
``ema_state_dict``; it exchanges them when it resumes.
"""

from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import Tensor

from ...checkpoints import describe_mismatch

_PREFIX = "module."  # of the averaged model's tensors


def describe_other_average(own: dict[str, Tensor], average: Any) -> str:
    """Return what differs between the model and a checkpoint's ``ema_state_dict``, or ``""``.

    Args:
        own: the model's tensors.
        average: the checkpoint's ``ema_state_dict``; None if it has none.
    """
    if average is None:
        return ""  # the hook begins with a copy of the weights, and warns
    given = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in average.items()
        if name.startswith(_PREFIX)
    }
    problem = describe_mismatch(own, given, allow_resize=False)
    return f"ema_state_dict: {problem}" if problem else ""


def restore_trained_weights(runner: Runner, checkpoint: dict) -> bool:
    """Let a run without EMAHook go on from the weights that were trained, not their averages.

    Args:
        runner: the run that goes on.
        checkpoint: one whose ``ema_state_dict`` fits the model; changed in place.

    Returns:
        Whether the checkpoint's weights were replaced.
    """
    if "ema_state_dict" not in checkpoint or _has_hook(runner):
        return False
    trained = checkpoint.pop("ema_state_dict")
    weights = checkpoint["state_dict"]
    for name in weights:
        weights[name] = trained[_PREFIX + name.removeprefix(_PREFIX)]
    return True


def _has_hook(runner: Runner) -> bool:
    return any(isinstance(hook, EMAHook) for hook in runner.hooks)
