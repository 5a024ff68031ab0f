"""Check that the data sets of all processes agree, each built from its own disk."""

import hashlib
from collections.abc import Mapping
from typing import Any

from mmengine.dist import all_gather_object

from ..datasets.wrappers import base_datasets
from ..errors import ConfigError
from ..evaluation.class_names import class_names


def check_processes(datasets: Mapping[str, Any]) -> None:
    """Check that all processes assign the same numbers to the same classes.

    All processes must call it.

    Args:
        datasets: built data sets by config field.

    Raises:
        ConfigError: the classes differ; raised on all processes.
    """
    found = all_gather_object({field: _classes(each) for field, each in datasets.items()})
    for field in datasets:
        counts = [classes[field] for classes in found]
        other = next((rank for rank, each in enumerate(counts) if each != counts[0]), None)
        if other is not None:
            is_equal = counts[other][0] == counts[0][0]
            raise ConfigError(
                f"{field}.dataset: process 0 found {counts[0][0]} classes, and process {other}"
                f" found {counts[other][0]}{' different ones' if is_equal else ''}:"
                " a label would mean different classes; use the same folders and lists in all"
                " processes (check the disks of every machine)"
            )


def _classes(dataset: Any) -> tuple[int, str]:
    """Return the number of classes of a data set and a digest of their names."""
    names = [class_names(base) for base in base_datasets(dataset)]
    count = sum(len(next(iter(each.values()), ())) for each in names[:1])
    return count, hashlib.sha256(repr(names).encode(errors="replace")).hexdigest()
