"""Data sets inside wrappers such as MMEngine's ``RepeatDataset`` and ``ConcatDataset``."""

from bisect import bisect_right
from typing import Any

from torch.utils.data import ConcatDataset, Subset

from ..errors import ConfigError


def base_datasets(dataset: Any, with_metainfo: bool = True) -> list[Any]:
    """Return the data sets inside any wrappers, in order, or the data set itself.

    Args:
        dataset: a data set or wrapper.
        with_metainfo: treat a wrapper of data sets without ``metainfo`` as a data set, because it
            names the classes itself.
    """
    inner = _inner(dataset)
    # a torch.utils.data.Subset has no metainfo
    named = all(hasattr(each, "metainfo") or hasattr(each, "dataset") for each in inner)
    if not inner or (with_metainfo and not named):
        return [dataset]
    return [base for each in inner for base in base_datasets(each, with_metainfo)]


def base_sample(dataset: Any, index: int) -> tuple[Any, int]:
    """Return the data set inside any wrappers that contains a sample, and its index there.

    A wrapper that changes indices in an unknown way counts as a data set.
    """
    inner: Any = getattr(dataset, "dataset", None)
    find = getattr(dataset, "_get_ori_dataset_idx", None)  # of MMEngine's wrappers
    if find is not None and hasattr(inner, "__len__") and len(dataset) == len(inner):
        pass  # mmpretrain's KFoldDataset reduces the inner data set, and maps to that before
    elif find is not None:
        found = find(index)
        number, index = found if isinstance(found, tuple) else (None, found)
        inner = inner if number is None else dataset.datasets[number]
    elif isinstance(dataset, ConcatDataset):
        number = bisect_right(dataset.cumulative_sizes, index)
        inner = dataset.datasets[number]
        index -= dataset.cumulative_sizes[number] - len(inner)
    elif isinstance(dataset, Subset):
        index = dataset.indices[index]
    elif not hasattr(inner, "__len__") or len(inner) != len(dataset):
        return dataset, index
    return base_sample(inner, index)


def base_dataset_configs(dataset: Any) -> list[dict]:
    """Return the configs of the data sets inside any wrappers, in order."""
    if not isinstance(dataset, dict):
        return []
    if "dataset" not in dataset and "datasets" not in dataset:
        return [dataset]
    several = dataset.get("datasets")
    inner = [dataset.get("dataset"), *(several if isinstance(several, (list, tuple)) else ())]
    return [base for each in inner for base in base_dataset_configs(each)]


def loading_bands(dataset: Any) -> dict | None:
    """Return ``bands`` of the loading transform in the config of a data set, or None.

    The first data set inside wrappers decides, because all have the channels of the model.

    Raises:
        ConfigError: ``bands`` is not a dict.
    """
    for config in base_dataset_configs(dataset):
        pipeline = config.get("pipeline")
        steps = pipeline if isinstance(pipeline, (list, tuple)) else ()
        given = [step["bands"] for step in steps if isinstance(step, dict) and step.get("bands")]
        if given and not isinstance(given[0], dict):
            raise ConfigError(
                f"bands={given[0]!r} of the loading transform must be a dict; set"
                " bands=dict(channels=...), or None"
            )
        return dict(given[0]) if given else None
    return None


def count_images(dataset: Any) -> int:
    """Return the number of images, counting each once however often a wrapper repeats it.

    A wrapper that leaves images out counts as many as it returns.
    """
    inner = _inner(dataset)
    if not inner:
        return len(dataset)
    return min(len(dataset), sum(map(count_images, inner)))


def _inner(dataset: Any) -> list[Any]:
    several = getattr(dataset, "datasets", None)
    if several is not None:
        return list(several)
    single = getattr(dataset, "dataset", None)
    return [] if single is None else [single]
