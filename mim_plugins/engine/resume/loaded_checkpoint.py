"""Checks of a checkpoint that MMEngine has read, before it is used."""

from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from torch import Tensor

from ...checkpoints import check_training_state, is_unrestricted, sanitize_checkpoint
from ...checkpoints.plain_copier import PlainCopier
from .averaged_weights import restore_trained_weights
from .checkpoint_compatibility import check_compatible
from .class_check import check_classes


def is_trusted(runner: Any) -> bool:
    """Return whether checkpoints are trusted, that is, not checked.

    This applies if PyTorch's environment variable enables unrestricted unpickling, and to
    MMEngine's FlexibleRunner, whose strategies use other formats.
    """
    return is_unrestricted() or not isinstance(runner, Runner)


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
        _keep_equal_metainfo(runner, checkpoint["meta"])
        scalars = checkpoint["message_hub"]["log_scalars"]
        for name in [name for name, buffer in scalars.items() if not len(buffer.data[0])]:
            del scalars[name]  # MMEngine cannot average a buffer without values
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


def _keep_equal_metainfo(runner: Runner, meta: dict) -> None:
    """Replace the data set's information by the run's if it differs only in types.

    Checkpoints contain plain types; MMEngine would warn that the data set differs.
    """
    own = getattr(getattr(runner.train_dataloader, "dataset", None), "metainfo", None)
    plain = PlainCopier().copy(own, "")
    if _same(plain, meta.get("dataset_meta")):
        meta["dataset_meta"] = own


def _same(first: Any, second: Any) -> bool:
    """Return whether two plain values are equal."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple) and type(first) is type(second):
        return len(first) == len(second) and all(map(_same, first, second))
    return type(first) is type(second) and bool(first == second)
