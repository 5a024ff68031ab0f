"""Number of classes of the heads of a model."""

from typing import Any, NamedTuple

from torch import nn

_OTHER_CLASSES = ("RPNHead", "GARPNHead", "STDCHead")  # object or none, boundary or none


class HeadClasses(NamedTuple):
    """Number of classes of one head."""

    name: str
    """Config path of the head, such as ``model.head``."""
    classes: int
    """Number of classes."""
    task: str
    """Task of a multi-task classifier; empty for other models."""
    exact: bool
    """False for classifiers, which may have unused outputs. True for detectors and segmentors:
    a difference causes a warning only, because some heads read texts, detect only some of the
    classes or have one output for two classes."""


def innermost_model(model: Any) -> Any:
    """Return the model inside distributed wrappers and test-time augmentation models."""
    while isinstance(getattr(model, "module", None), nn.Module):
        model = model.module
    return model


def has_base_named(instance: Any, base: str) -> bool:
    """Return whether an object's class or one of its bases has this name.

    Comparing names avoids importing OpenMMLab packages that may not be installed.
    """
    return any(each.__name__ == base for each in type(instance).__mro__)


def head_classes(model: Any) -> list[HeadClasses]:
    """Return the number of classes of every head of a classifier, detector or segmentor.

    Heads without the classes of the data are omitted, such as those for pre-training, region
    proposals or boundaries.
    """
    if has_base_named(model, "BaseClassifier"):
        return _classifier_heads(getattr(model, "head", None))
    if has_base_named(model, "BaseDetector"):
        return _named_heads(model, ("bbox_head", "mask_head"))
    if has_base_named(model, "BaseSegmentor"):
        return _named_heads(model, ("decode_head", "auxiliary_head"))
    return []


def ignored_labels(model: nn.Module) -> set[int]:
    """Return the labels that heads and losses ignore."""
    found = (getattr(module, "ignore_index", None) for module in model.modules())
    return {label for label in found if isinstance(label, int)}


def _classifier_heads(head: Any) -> list[HeadClasses]:
    tasks = getattr(head, "task_heads", None)
    heads = {"": head} if tasks is None else dict(tasks.items())
    found = []
    for task, each in heads.items():
        count = _count(each)
        if count is not None:
            name = f"model.head.task_heads.{task}" if task else "model.head"
            found.append(HeadClasses(name, count, task, exact=False))
    return found


def _count(head: Any) -> int | None:
    """Return ``num_classes`` of a head, or the output size of its last layer."""
    count = getattr(head, "num_classes", None)
    if isinstance(count, int):
        return count
    modules = list(head.modules()) if isinstance(head, nn.Module) else []
    for module in reversed(modules):
        size = getattr(module, "out_features", getattr(module, "out_channels", None))
        if isinstance(size, int):
            return size
    return None


def _named_heads(model: nn.Module, names: tuple[str, ...]) -> list[HeadClasses]:
    found = []
    for path, module in model.named_modules():
        parts = path.split(".")
        last = next((part for part in reversed(parts) if not part.isdigit()), "")
        count = getattr(module, "num_classes", None)
        agnostic = getattr(module, "class_agnostic", False)
        if any(has_base_named(module, base) for base in _OTHER_CLASSES):
            continue
        if last in names and isinstance(count, int) and not agnostic:
            found.append(HeadClasses(f"model.{path}", count, "", exact=True))
    return found
