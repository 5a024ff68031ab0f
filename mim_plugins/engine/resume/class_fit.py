"""Comparison of a checkpoint's classes with those of the run's training set."""

from typing import Any

from mmengine.runner import BaseLoop, Runner

from ...checkpoints.trained_classes import classes_in
from ...datasets.wrappers import base_datasets
from ...errors import CheckpointError
from ...evaluation.class_names import CLASSES, class_difference, class_names


def check_classes(runner: Runner, checkpoint: Any, source: str) -> None:
    """Check that labels mean the same as in the training that wrote a checkpoint.

    If the run is not resumed from it, a model for as many other classes is a warning: its head may
    be meant to be trained anew.

    Args:
        runner: its training loop is built if it trains.
        checkpoint: content of the file.
        source: the file, for the message.

    Raises:
        CheckpointError: the run is to be resumed, and its classes are others.
    """
    trained, loop = classes_in(checkpoint), getattr(runner, "_train_loop", None)
    if not trained or not isinstance(loop, BaseLoop):
        return
    parts = map(class_names, base_datasets(loop.dataloader.dataset))
    names: dict[str, tuple[str, ...]] = next(filter(None, parts), {})
    difference = class_difference({CLASSES: trained}, names)
    if difference is None:
        return
    text = (
        f"'{source}' was trained on other classes: the training set has {difference}, so a label"
        " stands for different classes"
    )
    if runner._resume:
        raise CheckpointError(
            f"{text}; restore the class folders or names of its run, or start a new run without"
            " --resume in another --work-dir"
        )
    if len(next(iter(names.values()))) == len(trained):
        runner.logger.warning(f"{text}, and the weights of the head are those of the former")
