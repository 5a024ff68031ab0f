"""Check of a checkpoint's classes against those of the training set."""

from typing import Any

from mmengine.runner import BaseLoop, Runner

from ...checkpoints.trained_classes import classes_in
from ...datasets.wrappers import base_datasets
from ...errors import CheckpointError
from ...evaluation.class_names import CLASSES, class_difference, class_names


def check_classes(runner: Runner, checkpoint: Any, source: str) -> None:
    """Check that labels have the same meaning as in the checkpoint's training.

    If only the weights are loaded, an equal number of different classes is a warning, because the
    head may be trained again.

    Args:
        runner: runner whose training loop is built, if it trains.
        checkpoint: content of the file.
        source: path of the file, for the message.

    Raises:
        CheckpointError: the run is resumed, and its classes differ.
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
        " means different classes"
    )
    if runner._resume:
        raise CheckpointError(
            f"{text}; restore the class folders or names of its run, or start a new run without"
            " --resume in another --work-dir"
        )
    if len(next(iter(names.values()))) == len(trained):
        runner.logger.warning(f"{text}, but the weights of the head belong to the former")
