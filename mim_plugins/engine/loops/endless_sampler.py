"""Checks that reject endless samplers in loops that need an end."""

import logging
from itertools import islice
from typing import Any

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from ...errors import ConfigError
from ...randomness import preserved_random_state
from ...wording import counted
from ..batch_images import images_per_batch
from .sampler_parts import nested_samplers

_TRAINING = "train_dataloader"
_FINITE = (BatchSampler, DefaultSampler, RandomSampler, SequentialSampler)


def check_training_sampler(loader: DataLoader, by_epoch: bool) -> None:
    """Check that a training loop can count the batches of its loader.

    Raises:
        ConfigError: the number of batches is unknown or 0, or an epoch would never end.
    """
    _require_length(loader, _TRAINING)
    check_batch_size(loader)
    if by_epoch:
        _require_end(loader, _TRAINING)


def check_batch_size(loader: DataLoader) -> None:
    """Check that an epoch of a training has at least one step.

    Raises:
        ConfigError: the training set is smaller than one batch, which is dropped.
    """
    if len(loader) == 0:
        size = images_per_batch(loader)
        batch = "" if size is None else f" of {size * get_world_size()}"
        raise ConfigError(
            f"the training set has {counted(len(loader.dataset), 'image')}, fewer than one batch"  # type: ignore[arg-type]
            f"{batch}, so an epoch has no step. Set train_dataloader.batch_size to a smaller"
            " number"
        )


def check_evaluation_sampler(loop: Any, name: str) -> None:
    """Check that the loop of a validation or a test ends.

    A training epoch stops after ``len(loader)`` batches with any sampler. MMEngine's evaluation
    loops stop only when the sampler does, so the indices of an unknown sampler are counted.

    Args:
        loop: evaluation loop; a loop without a single ``dataloader`` is not checked.
        name: config field of the loader.

    Raises:
        ConfigError: the sampler never ends, the number of batches is unknown, or the sampler yields
            another number of indices than its length or one beyond the data set.
    """
    loader = getattr(loop, "dataloader", None)
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return
    _require_end(loader, name)
    _require_length(loader, name)
    for sampler in _samplers(loader):
        if type(sampler) not in _FINITE and hasattr(sampler, "__len__"):
            with preserved_random_state():
                drawn = list(islice(sampler, len(sampler) + 1))
            if len(drawn) > len(sampler):
                _refuse(sampler, name, "yields more than its length")
            if len(drawn) < len(sampler):
                _refuse(sampler, name, f"yields {len(drawn)} of its {len(sampler)} indices", "all")
            _check_indices(sampler, drawn, loader, name)


def _check_indices(sampler: Any, drawn: list, loader: DataLoader, name: str) -> None:
    """Refuse indices beyond the data set; warn of images that count more than once."""
    indices = [index for index in drawn if isinstance(index, int)]
    length = len(loader.dataset)  # type: ignore[arg-type]
    if indices and not 0 <= min(indices) <= max(indices) < length:
        wrong = next(index for index in indices if not 0 <= index < length)
        _refuse(sampler, name, f"yields the index {wrong} of {length} images", "others")
    if len(set(indices)) < len(indices):
        print_log(
            f"{name}: {type(sampler).__name__} yields {len(indices)} indices of only"
            f" {len(set(indices))} images, so some count more than once",
            "current",
            logging.WARNING,
        )


def check_validation_sampler(runner: Runner) -> None:
    """Call :func:`check_evaluation_sampler` for the validation of a training run, if any."""
    if runner.val_loop is not None:
        check_evaluation_sampler(runner.val_loop, "val_dataloader")


def _require_length(loader: DataLoader, name: str) -> None:
    try:
        len(loader)
    except TypeError as error:
        raise ConfigError(
            f"{name}: its number of batches is unknown ({error}); add a __len__ to that class, or"
            f" set {name}.sampler.type=DefaultSampler"
        ) from error


def _require_end(loader: DataLoader, name: str) -> None:
    """Reject MMEngine's endless sampler and similar ones (MMDetection's MultiSourceSampler)."""
    for sampler in _samplers(loader):
        if isinstance(sampler, InfiniteSampler) or hasattr(sampler, "_infinite_indices"):
            _refuse(sampler, name)


def _samplers(loader: DataLoader) -> list[Any]:
    """Return the batch sampler, if any, and the samplers within it, innermost last."""
    return nested_samplers(loader.sampler if loader.batch_sampler is None else loader.batch_sampler)


def _refuse(sampler: Any, name: str, fault: str = "never ends", need: str = "it to end") -> None:
    more = (
        ", or use an iteration-based loop (train_cfg.max_iters, by_epoch=False)"
        if name == _TRAINING
        else ""
    )
    raise ConfigError(
        f"{name}: {type(sampler).__name__} {fault}, but the loop needs {need}; set"
        f" {name}.sampler.type=DefaultSampler{more}"
    )
