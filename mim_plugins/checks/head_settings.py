"""Checks of settings that must equal the number of classes of a head."""

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from .head_classes import HeadClasses


def check_head_settings(model: Any, head: HeadClasses) -> None:
    """Check the number of classes in the data preprocessor and in a classifier's losses.

    Raises:
        ConfigError: a number differs from the head's.
    """
    if head.exact:  # detection counts the background in some losses
        return
    _check_mixed_labels(model, head)
    _check_losses(model, head)


def _check_mixed_labels(model: Any, head: HeadClasses) -> None:
    preprocessor = getattr(model, "data_preprocessor", None)
    if head.task or not getattr(preprocessor, "to_onehot", False):
        return
    given = getattr(preprocessor, "num_classes", None)
    if given != head.classes:
        raise ConfigError(
            f"data_preprocessor.num_classes={given}, but {head.name}.num_classes={head.classes}:"
            " one-hot labels (Mixup, CutMix) have one value per class; set"
            f" data_preprocessor.num_classes={head.classes}"
        )


def _check_losses(model: Any, head: HeadClasses) -> None:
    for name, module in model.named_modules():
        if not f"model.{name}".startswith(f"{head.name}."):
            continue
        classes, weights = (
            getattr(module, "num_classes", None),
            getattr(module, "class_weight", None),
        )
        if isinstance(classes, int) and classes != head.classes and "loss" in name:
            raise ConfigError(
                f"model.{name}: num_classes={classes}, but {head.name}.num_classes={head.classes};"
                " set the same number, or remove it from the loss"
            )
        if isinstance(weights, (list, tuple)) and len(weights) != head.classes:
            raise ConfigError(
                f"model.{name}: class_weight has {len(weights)} values, but"
                f" {head.name}.num_classes={head.classes}; set one value per class"
            )


def check_metrics(field: str, metrics: Sequence[Any], head: HeadClasses) -> list[str]:
    """Check that the metrics of a classifier use no more classes than its head has.

    Args:
        field: config field of the metrics.
        metrics: built metrics.
        head: the only head of the classifier.

    Returns:
        Warnings about other values of ``num_classes``, which not all metrics use.

    Raises:
        ConfigError: ``topk`` exceeds the number of classes.
    """
    if head.exact or head.task:
        return []
    warnings = []
    for metric in metrics:
        name = type(metric).__name__
        topk = getattr(metric, "topk", None)
        requested = [topk] if isinstance(topk, int) else list(topk or ())
        if max(requested, default=0) > head.classes:
            fitting = tuple(k for k in requested if k <= head.classes) or (1,)
            raise ConfigError(
                f"{field}: {name} has topk={topk}, but {head.name}.num_classes={head.classes}; set"
                f" {field}.topk={fitting}"
            )
        classes = getattr(metric, "num_classes", None)
        if isinstance(classes, int) and classes != head.classes:
            warnings.append(
                f"{field}: {name} has num_classes={classes}, but {head.name}.num_classes="
                f"{head.classes}; set the same number, or remove it from the metric"
            )
    return warnings
