"""Pipelines of data sets: color order and normalization of the images that they return.

Data sets are given as configs or as objects, inside any wrappers.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..config import type_name
from ..errors import ConfigError

_SCALING = ("ToTensor", "ConvertImageDtype", "ToDtype")  # of torchvision, from 0 to 1
_LOADING = re.compile("Load|Read|Decode")  # in names of transforms, also of own ones
_NO_IMAGES = re.compile("Annotation|Label|Proposal")


def pipelines_of(node: Any) -> Iterator[Sequence]:
    """Yield the pipelines of a loader's data sets or of a data set, including wrapped ones."""
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from pipelines_of(part)
    elif node is not None:
        pipeline = _entry(node, "pipeline")
        steps = getattr(pipeline, "transforms", pipeline)
        if isinstance(steps, (list, tuple)):
            yield steps
        for key in ("dataset", "datasets"):
            yield from pipelines_of(_entry(node, key))


def transform_name(transform: Any) -> str:
    """Return the class name of a transform or of its config, without scope and module."""
    return type_name(_kind(transform)).rpartition("/")[2]


def image_order(node: Any) -> str | None:
    """Return the order of the colors of data sets, ``'bgr'`` or ``'rgb'``, None without pipelines.

    Transforms that load files return BGR. Images in memory are RGB, as in CIFAR. A later transform
    may reverse the channels, such as mmpretrain's ``NumpyToPIL``. Several data sets are BGR if one
    of them is.
    """
    are_bgr = [_is_bgr(pipeline) for pipeline in pipelines_of(node)]
    return None if not are_bgr else "bgr" if any(are_bgr) else "rgb"


def _is_bgr(pipeline: Sequence) -> bool:
    loaders = (n for n, step in enumerate(pipeline) if _loads_images(transform_name(step)))
    first = next(loaders, None)
    reversals = [
        key
        for step in pipeline[first or 0 :]
        for key in ("to_rgb", "to_bgr")
        if _entry(step, key) is True
    ]
    return (first is not None) != bool(len(reversals) % 2)


def _loads_images(name: str) -> bool:
    return bool(_LOADING.search(name)) and not _NO_IMAGES.search(name)


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
