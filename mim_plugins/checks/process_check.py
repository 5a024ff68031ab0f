"""Check that the data sets of all processes agree, each built from its own disk."""

import hashlib
from collections.abc import Mapping
from typing import Any

from mmengine.dist import all_gather_object

from ..algorithms import PretrainingModel
from ..datasets.wrappers import base_datasets
from ..errors import ConfigError
from ..evaluation.class_names import class_names
from .head_classes import has_base_named

_EFFECTS = dict(classes="a label would mean different classes", images="epochs would differ")


def check_processes(model: Any, datasets: Mapping[str, Any]) -> None:
    """Check that all processes read as many images and, if it uses labels, the same classes.

    All processes must call it.

    Args:
        model: model without distributed wrapper.
        datasets: built data sets by config field.

    Raises:
        ConfigError: the data sets differ; raised on all processes.
    """
    pretrains = isinstance(model, PretrainingModel) or has_base_named(model, "BaseSelfSupervisor")
    content = {(field, "images"): (len(each), "") for field, each in datasets.items()}
    if not pretrains:
        content = {(field, "classes"): _classes(each) for field, each in datasets.items()} | content
    found = all_gather_object(content)
    for field, kind in content:
        counts = [each[field, kind] for each in found]
        other = next((rank for rank, each in enumerate(counts) if each != counts[0]), None)
        if other is not None:
            is_equal = counts[other][0] == counts[0][0]
            raise ConfigError(
                f"{field}.dataset: process 0 found {counts[0][0]} {kind}, and process {other}"
                f" found {counts[other][0]}{' different ones' if is_equal else ''}:"
                f" {_EFFECTS[kind]}; use the same folders and lists in all processes (check the"
                " disks of every machine)"
            )


def _classes(dataset: Any) -> tuple[int, str]:
    """Return the number of classes of a data set and a digest of their names."""
    names = [class_names(base) for base in base_datasets(dataset)]
    count = sum(len(next(iter(each.values()), ())) for each in names[:1])
    return count, hashlib.sha256(repr(names).encode(errors="replace")).hexdigest()
