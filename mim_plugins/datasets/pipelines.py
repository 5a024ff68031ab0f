"""Pipelines of data sets: color order and normalization of the images that they return.

Data sets are given as configs or as objects, inside any wrappers.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from ..config import type_name
from ..errors import ConfigError
from .loaders import returns_bgr

_SCALING = ("ToTensor", "ConvertImageDtype", "ToDtype")  # of torchvision, from 0 to 1
_IN_MEMORY = ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST")  # of mmpretrain, in RGB
_SWITCHES = dict(to_rgb="rgb", to_bgr="bgr")  # arguments of transforms, by the resulting order


def pipelines_of(node: Any) -> Iterator[Sequence]:
    """Yield the pipelines of a loader's data sets or of a data set, including wrapped ones."""
    return (pipeline for _, pipeline in _datasets_of(node))


def _datasets_of(node: Any) -> Iterator[tuple[Any, Sequence]]:
    """Yield the data sets that have a pipeline, with it."""
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from _datasets_of(part)
    elif node is not None:
        pipeline = _entry(node, "pipeline")
        steps = getattr(pipeline, "transforms", pipeline)
        if isinstance(steps, (list, tuple)):
            yield node, steps
        for key in ("dataset", "datasets"):
            yield from _datasets_of(_entry(node, key))


def transform_name(transform: Any) -> str:
    """Return the class name of a transform or of its config, without scope and module."""
    return type_name(_kind(transform)).rpartition("/")[2]


def image_order(node: Any) -> str | None:
    """Return the order of the colors of data sets, ``'bgr'`` or ``'rgb'``, None if it is unknown.

    The loading transforms of mmcv and of this package return BGR, see :func:`returns_bgr`. Images
    of mmpretrain's data sets in memory, such as CIFAR, are RGB. A later transform may reverse the
    channels, such as mmpretrain's ``NumpyToPIL``. The order of other images, such as those that
    another transform or a data set loads, is that to which the last such transform converts them.
    Several data sets are BGR if one of them is.
    """
    orders = {_order(dataset, pipeline) for dataset, pipeline in _datasets_of(node)}
    return "bgr" if "bgr" in orders else "rgb" if orders == {"rgb"} else None


def _order(dataset: Any, pipeline: Sequence) -> str | None:
    loaders = (n for n, step in enumerate(pipeline) if returns_bgr(_kind(step), step))
    first = next(loaders, None)
    results = [
        order
        for step in pipeline[first or 0 :]
        for key, order in _SWITCHES.items()
        if _entry(step, key) is True
    ]
    if first is None and not _is_in_memory(dataset):
        return results[-1] if results else None
    return "bgr" if (first is not None) != bool(len(results) % 2) else "rgb"


def _is_in_memory(dataset: Any) -> bool:
    kind = _kind(dataset)
    names = {type_name(each) for each in getattr(kind, "__mro__", [kind])}
    return not names.isdisjoint(_IN_MEMORY)


def check_not_normalized(node: Any, where: str) -> None:
    """Check that pipelines leave the normalization to the data preprocessor.

    Features, exports and k-NN evaluations prepare images by other pipelines, followed by the data
    preprocessor.

    Args:
        node: data sets or loaders.
        where: their place in the config, for the message.

    Raises:
        ConfigError: a transform normalizes images, or scales them from 0 to 1.
    """
    name = normalizing_transform(node)
    if name:
        raise ConfigError(
            f"{where}: the pipeline contains {name}, but features, exports and k-NN use only"
            f" the normalization of data_preprocessor; leave {name} out of the pipeline, and"
            " set mean and std, for pixels from 0 to 255, and the order of colors"
            " (bgr_to_rgb=True, or to_rgb=True) in data_preprocessor"
        )


def normalizing_transform(node: Any) -> str:
    """Return the name of the first transform that normalizes or scales images, or ``""``."""
    steps = (step for pipeline in pipelines_of(node) for step in _nested(pipeline))
    return next((transform_name(step) for step in steps if _scales(step)), "")


def _nested(steps: Any) -> Iterator[Any]:
    """Yield transforms, including those inside others."""
    if isinstance(steps, (list, tuple)):
        for step in steps:
            yield from _nested(step)
    elif steps is not None:
        yield steps
        for key in ("transforms", "t"):  # t of mmpretrain's wrapper of torchvision
            yield from _nested(_entry(steps, key))


def _scales(step: Any) -> bool:
    name, kind = transform_name(step), _kind(step)
    origin = kind if isinstance(kind, str) else getattr(kind, "__module__", "")
    return name == "Normalize" or (name in _SCALING and origin.startswith("torchvision"))


def _kind(transform: Any) -> Any:
    return transform.get("type") if isinstance(transform, dict) else type(transform)


def _entry(node: Any, key: str) -> Any:
    return node.get(key) if isinstance(node, dict) else getattr(node, key, None)
