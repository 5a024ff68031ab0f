"""Checking what MMEngine has read from a checkpoint before it is used."""

import os
from typing import Any

from mmengine.runner import Runner

from ...checkpoints import check_training_state, sanitize_checkpoint
from .averaged_weights import restore_trained_weights
from .checkpoint_fit import check_fit
from .class_fit import check_classes


def is_trusted(runner: Any) -> bool:
    """Whether checkpoints are not checked.

    So it is if PyTorch's own environment variable has it unpickle anything, and in MMEngine's
    FlexibleRunner, whose strategies have formats of their own.
    """
    unrestricted = os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    return bool(unrestricted) or not isinstance(runner, Runner)


def check_loaded(runner: Runner, checkpoint: dict) -> None:
    """Check the content of a checkpoint, and its fit if the run is resumed from it.

    The text ``meta['config']``, which MMEngine would execute, is removed, and so is everything that
    is not plain data from a file whose weights alone are loaded.

    Raises:
        CheckpointError: the content is of other types than MMEngine stores, or of another model,
            optimizer or classes than the run's.
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
        check_fit(runner, checkpoint, source)
        if restore_trained_weights(runner, checkpoint):
            runner.logger.warning(
                "Resuming: the checkpoint has averaged weights (EMAHook), this run averages none:"
                " it goes on from the weights that were trained, and drops the averages"
            )
    elif is_checked:
        check_classes(runner, checkpoint, source)
