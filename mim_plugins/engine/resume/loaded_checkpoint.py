"""Checks of a checkpoint that MMEngine has read, before it is used."""

import os
from typing import Any

from mmengine.runner import Runner

from ...checkpoints import check_training_state, sanitize_checkpoint
from .averaged_weights import restore_trained_weights
from .checkpoint_compatibility import check_compatible
from .class_check import check_classes


def is_trusted(runner: Any) -> bool:
    """Return whether checkpoints are trusted, that is, not checked.

    This applies if PyTorch's environment variable enables unrestricted unpickling, and to
    MMEngine's FlexibleRunner, whose strategies use other formats.
    """
    unrestricted = os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    return bool(unrestricted) or not isinstance(runner, Runner)


def check_loaded(runner: Runner, checkpoint: dict) -> None:
    """Check the content of a checkpoint and, when resuming, its model and optimizer.

    The text ``meta['config']``, which MMEngine would execute, is removed. If only the weights are
    loaded, everything that is not plain data is removed, too.

    Raises:
        CheckpointError: the content has other types than MMEngine stores, or belongs to another
            model, optimizer or set of classes than the run's.
    """
    source = str(runner._load_from or "the checkpoint")
    is_checked = not is_trusted(runner)
    if is_checked:
        check = check_training_state if runner._resume else sanitize_checkpoint
        check(checkpoint, source)
    meta = checkpoint.get("meta")
    if isinstance(meta, dict) and meta.pop("config", None) is not None:
        runner.logger.warning(
            "meta['config'] of the checkpoint is ignored: MMEngine would execute it"
        )
    if runner._resume and is_checked:
        check_compatible(runner, checkpoint, source)
        _drop_empty_loss_scalers(checkpoint.get("optimizer"))
        if restore_trained_weights(runner, checkpoint):
            runner.logger.warning(
                "Resuming: the checkpoint has averaged weights (EMAHook), but this run averages"
                " none: it continues from the trained weights and drops the averages"
            )
    elif is_checked:
        check_classes(runner, checkpoint, source)


def _drop_empty_loss_scalers(state: Any) -> None:
    """Remove the state of disabled loss scalers, which PyTorch refuses to load into others.

    Without it, a run that changes from bfloat16 to float16 starts with the default scale.
    """
    if isinstance(state, dict):
        if state.get("loss_scaler") == {}:
            del state["loss_scaler"]
        for each in state.values():  # states of several optimizers, by name
            if isinstance(each, dict) and each.get("loss_scaler") == {}:
                del each["loss_scaler"]
