"""Data sets inside wrappers such as MMEngine's ``RepeatDataset`` and ``ConcatDataset``."""

from typing import Any


def base_datasets(dataset: Any) -> list[Any]:
    """Return the data sets inside any wrappers, in order, or the data set itself.

    A data set that is built on something other than OpenMMLab's data sets, such as a list, is a
    data set itself.
    """
    inner = _inner(dataset)
    # a torch.utils.data.Subset has no metainfo
    if not inner or not all(
        hasattr(each, "metainfo") or hasattr(each, "dataset") for each in inner
    ):
        return [dataset]
    return [base for each in inner for base in base_datasets(each)]


def base_dataset_configs(dataset: Any) -> list[dict]:
    """Return the configs of the data sets inside any wrappers, in order."""
    if not isinstance(dataset, dict):
        return []
    if "dataset" not in dataset and "datasets" not in dataset:
        return [dataset]
    inner = [dataset.get("dataset"), *(dataset.get("datasets") or ())]
    return [base for each in inner for base in base_dataset_configs(each)]


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
