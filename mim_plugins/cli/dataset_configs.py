"""Configs of data sets and metrics in the config of a run."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ..config import hook_configs
from ..datasets.wrappers import base_dataset_configs

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_OF_HOOKS = ("references", "queries")


def dataset_configs(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> list[dict]:
    """Return the data set configs of the loaders, including those inside wrappers."""
    found = []
    for name in loaders:
        if cfg.get(name):
            found += base_dataset_configs(cfg[name].get("dataset"))
    return found


def hook_dataset_configs(cfg: Config) -> dict[str, list[dict]]:
    """Return the data set configs of hooks such as :class:`KNNHook` by config field."""
    return {
        f"{field}.{name}": base_dataset_configs(hook.get(name))
        for field, hook in hook_configs(cfg).items()
        for name in _OF_HOOKS
        if isinstance(hook, dict)
    }


def evaluator_configs(cfg: Config) -> Iterator[dict[str, Any]]:
    """Yield the metrics of validation and test, each a single one or a list."""
    for name in ("val_evaluator", "test_evaluator"):
        given = cfg.get(name) or []
        yield from given if isinstance(given, (list, tuple)) else [given]
