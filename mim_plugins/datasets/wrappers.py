"""Data sets inside wrappers such as MMEngine's ``RepeatDataset`` and ``ConcatDataset``."""

from typing import Any


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


def base_dataset_configs(dataset: Any) -> list[dict]:
    """Return the configs of the data sets inside any wrappers, in order."""
    if not isinstance(dataset, dict):
        return []
    if "dataset" not in dataset and "datasets" not in dataset:
        return [dataset]
    inner = [dataset.get("dataset"), *(dataset.get("datasets") or ())]
    return [base for each in inner for base in base_dataset_configs(each)]


def loading_bands(dataset: Any) -> dict | None:
    """Return ``bands`` of the loading transform in the config of a data set, or None.

    The first data set inside wrappers decides, because all have the channels of the model.
    """
    for config in base_dataset_configs(dataset):
        steps = (step for step in config.get("pipeline") or () if isinstance(step, dict))
        return next((dict(step["bands"]) for step in steps if step.get("bands")), None)
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
