"""Averaged weights of MMEngine's EMAHook in a checkpoint to resume from.

The hook stores the averages in ``state_dict``, for deployment, and the trained weights in
``ema_state_dict``. It swaps them when resuming.
"""

from typing import Any

from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from torch import Tensor

from ...checkpoints import describe_mismatch

_PREFIX = "module."  # of tensor names of the averaged model


def describe_average_mismatch(own: dict[str, Tensor], average: Any) -> str:
    """Describe the difference between the model and ``ema_state_dict``; empty if none.

    Args:
        own: tensors of the model.
        average: ``ema_state_dict`` of the checkpoint; None if missing.
    """
    if average is None:
        return ""  # the hook starts with a copy of the weights and warns
    given = {
        name.removeprefix(_PREFIX): tensor
        for name, tensor in average.items()
        if name.startswith(_PREFIX)
    }
    problem = describe_mismatch(own, given, allow_resize=False)
    return f"ema_state_dict: {problem}" if problem else ""


def restore_trained_weights(runner: Runner, checkpoint: dict) -> bool:
    """Resume a run without EMAHook from the trained weights, not from their averages.

    Args:
        runner: runner of the resumed run.
        checkpoint: checkpoint whose ``ema_state_dict`` matches the model; changed in place.

    Returns:
        True if the weights in the checkpoint were replaced.
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
