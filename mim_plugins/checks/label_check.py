"""Checks of labels: data sets against each other, the heads and the metrics."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..datasets.wrappers import base_datasets
from ..errors import ConfigError
from ..evaluation.class_names import (
    CLASSES,
    FOLDERS,
    class_difference,
    class_names,
    describe_disorder,
)
from .coco_categories import check_categories
from .head_classes import HeadClasses, head_classes, ignored_labels
from .head_settings import check_head_settings, check_metrics

_CHECKPOINT = "the checkpoint's training"


class _Labels(NamedTuple):
    """Labels of one data set without wrappers."""

    where: str
    """Config field, and folder or file, for messages."""
    names: dict[str, tuple[str, ...]]
    ranges: dict[str, tuple[int, int, str]]
    """Lowest label, highest label and an image with the highest label, by task."""

    def is_training(self) -> bool:
        """Return whether it is part of the training set, which defines the labels."""
        return self.where.startswith("train")

    def classes(self, task: str) -> int | None:
        """Return the number of classes, None if the data set has no labels of this task."""
        if not task and self.names:
            return len(next(iter(self.names.values())))
        return self.ranges[task][1] + 1 if task in self.ranges else None

    def evidence(self, task: str) -> str:
        """Describe the origin of the number of classes if no class names are known."""
        if (self.names and not task) or task not in self.ranges:
            return ""
        _, highest, image = self.ranges[task]
        return f" (label {highest} of '{image}')" if image else f" (label {highest})"


def check_labels(
    model: Any,
    datasets: Mapping[str, Any],
    metrics: Mapping[str, Sequence[Any]],
    trained_on: Sequence[str] | None = None,
) -> list[str]:
    """Check that labels have the same meaning everywhere and fit heads and metrics.

    Args:
        model: model without distributed wrapper.
        datasets: built data sets by config field; the others are compared with the first.
        metrics: built metrics by config field.
        trained_on: names of the classes that the model was trained on, from its checkpoint.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: labels are out of range or, for classifiers, classes differ, or a head, loss,
            preprocessor or metric has another number of classes. For detectors and segmentors, the
            first difference is a warning, see :class:`HeadClasses`.
    """
    heads = head_classes(model)
    if not heads:
        return []
    labels = [
        _labels_of(f"{field}.dataset", base, ignored_labels(model))
        for field, dataset in datasets.items()
        for base in base_datasets(dataset)
    ]
    try:
        _compare_classes(datasets, labels, trained_on)
        return _check_heads(model, heads, labels, metrics, trained_on is not None)
    except ConfigError as error:
        if not heads[0].exact:
            raise
        return [str(error)]


def _compare_classes(
    datasets: Mapping[str, Any], labels: list[_Labels], trained_on: Sequence[str] | None
) -> None:
    """Compare the classes of data sets with each other and with those of the checkpoint."""
    trained = [] if trained_on is None else [_Labels(_CHECKPOINT, {CLASSES: tuple(trained_on)}, {})]
    # a checkpoint contains only the class names of its training set
    _compare_data_sets(trained + [each for each in labels if each.names][:1])
    _compare_data_sets(labels)
    _compare_zero_labels(datasets)


def _check_heads(
    model: Any,
    heads: list[HeadClasses],
    labels: list[_Labels],
    metrics: Mapping[str, Sequence[Any]],
    is_trained: bool,
) -> list[str]:
    """Check heads against data sets, losses and metrics; return warnings."""
    is_compared = is_trained or _has_named_training_set(labels)
    warnings: list[str | None] = []
    for head in heads:
        check_head_settings(model, head)
        warnings += [_compare_with_head(each, head, is_compared) for each in labels]
        for field, built in metrics.items():
            warnings += check_metrics(field, built, head)
    return list(dict.fromkeys(filter(None, warnings)))


def _has_named_training_set(labels: list[_Labels]) -> bool:
    """Return whether the other data sets were compared with the classes of the training set."""
    return any(each.names and each.is_training() for each in labels)


def _labels_of(field: str, dataset: Any, ignored: set[int]) -> _Labels:
    place = getattr(dataset, "ann_file", "") or (getattr(dataset, "data_prefix", None) or {}).get(
        "img_path", ""
    )
    where = f"{field} ('{place}')" if place else field
    names = class_names(dataset)
    check_categories(where, dataset, names.get(CLASSES, ()))
    numbered_by_folders = FOLDERS in names and not getattr(dataset, "ann_file", "")
    ranges = {} if numbered_by_folders else _label_ranges(dataset, ignored)
    for task, (lowest, highest, image) in ranges.items():
        classes = len(names[CLASSES]) if CLASSES in names and not task else None
        if lowest < 0 or (classes is not None and highest >= classes):
            wrong = lowest if lowest < 0 else highest
            example = f" (for example of '{image}')" if wrong == highest and image else ""
            allowed = f"0 to {classes - 1}, its classes" if classes else "whole numbers from 0"
            raise ConfigError(
                f"{where} has the label {wrong}{example}, but labels must be {allowed}; correct the"
                " annotations or the data set's classes"
            )
    return _Labels(where, names, ranges)


def _label_ranges(dataset: Any, ignored: set[int]) -> dict[str, tuple[int, int, str]]:
    """Return lowest and highest ``gt_label`` of all samples by task; empty without labels."""
    ranges: dict[str, tuple[int, int, str]] = {}
    if not hasattr(dataset, "get_data_info"):
        return ranges
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if not isinstance(info, dict) or "gt_label" not in info:
            return ranges
        label = info["gt_label"]
        for task, value in label.items() if isinstance(label, dict) else (("", label),):
            values = [value] if isinstance(value, int) else np.asarray(value).flatten().tolist()
            values = [each for each in values if each not in ignored]
            low, high, image = ranges.get(task, (0, -1, ""))
            if values and max(values) > high:
                high, image = int(max(values)), str(info.get("img_path", ""))
            ranges[task] = (int(min([low, *values])), high, image)
    return ranges


def _compare_data_sets(labels: list[_Labels]) -> None:
    named = [each for each in labels if each.names]
    for each in named[1:]:
        difference = class_difference(named[0].names, each.names)
        if difference:
            raise ConfigError(
                f"{each.where} and {named[0].where} have different classes: the former has"
                f" {difference}. A label would mean different classes;"
                f" {_remedy(named[0], each)}"
            )


def _remedy(first: _Labels, second: _Labels) -> str:
    """Describe a fix for different classes; checkpoints contain class names, not folders."""
    folders = [each for each in (first, second) if FOLDERS in each.names]
    if len(folders) != 1:
        return (
            "use the same class folders in both (empty ones for classes without images) or the same"
            " list of classes"
        )
    if describe_disorder(folders[0].names[FOLDERS]):
        return (
            f"pad the numbers of {folders[0].where}'s folders with zeros (00, 01, ..., 10), or read"
            " a list of images and labels (ann_file)"
        )
    return (
        f"if the folders of {folders[0].where}, in sorted order, are these classes, set the class"
        " names of that data set (classes=[...], or type='mim_plugins.ImageNet' for ImageNet);"
        " otherwise use the folders of these classes"
    )


def _compare_zero_labels(datasets: Mapping[str, Any]) -> None:
    """Compare ``reduce_zero_label`` of MMSegmentation, which shifts all labels by one."""
    bases = [
        (field, base) for field, dataset in datasets.items() for base in base_datasets(dataset)
    ]
    kinds = {
        base.reduce_zero_label: field for field, base in bases if hasattr(base, "reduce_zero_label")
    }
    if len(kinds) > 1:
        raise ConfigError(
            f"reduce_zero_label=True in {kinds[True]}.dataset, but not in {kinds[False]}.dataset:"
            " their labels would differ by one; set the same value in all data sets"
        )


def _compare_with_head(labels: _Labels, head: HeadClasses, is_compared: bool) -> str | None:
    """Compare the number of classes; return a warning if they may differ.

    Class folders with fewer classes are accepted only if they were compared with the training set.
    """
    count = labels.classes(head.task)
    if count is None or count == head.classes:
        return None
    field = f"{head.name}.num_classes"
    found = f"{labels.where} has {count} classes{labels.evidence(head.task)}"
    text = f"{found}, but {field}={head.classes}"
    if head.exact:
        return f"{text}; set the same number, unless the head is meant for other classes"
    if count > head.classes:
        raise ConfigError(
            f"{text}; set {field}={count} and, where it is set, data_preprocessor.num_classes, or"
            " correct the data set"
        )
    if FOLDERS in labels.names and not (is_compared or labels.is_training()):
        raise ConfigError(
            f"{text}: its folders are numbered separately, so labels would mean other classes;"
            " create a folder for each of the model's classes (empty ones for classes without"
            " images)"
        )
    if not labels.names:  # the highest label in the data may not be the last class
        return None
    return f"{text}: {head.classes - count} outputs of the head are unused"
