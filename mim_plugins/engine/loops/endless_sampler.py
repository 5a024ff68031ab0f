"""Refusal of samplers that never end, where a loop waits for their end."""

from itertools import islice
from typing import Any

from mmengine.dataset import DefaultSampler, InfiniteSampler
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

_TRAINING = "train_dataloader"
_FINITE = (BatchSampler, DefaultSampler, RandomSampler, SequentialSampler)


def require_steps_of_training(loader: DataLoader, by_epoch: bool) -> None:
    """Check that a training loop can count the batches of its loader.

    Raises:
        ConfigError: their number is unknown, or an epoch would never end.
    """
    _require_length(loader, _TRAINING)
    if by_epoch:
        _require_end(loader, _TRAINING)


def require_end_of_evaluation(loop: Any, name: str) -> None:
    """Check that the loop of a validation or a test comes to its end.

    A training epoch is cut at ``len(loader)`` whatever the sampler is; MMEngine's loops for
    evaluations go on as long as it gives indices, so those of an unknown sampler are counted.

    Args:
        loop: MMEngine's, or one with a ``dataloader`` of several.
        name: of the loader in the config.

    Raises:
        ConfigError: it does not end, or its length is unknown.
    """
    loader = getattr(loop, "dataloader", None)
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        return
    _require_end(loader, name)
    _require_length(loader, name)
    for sampler in _samplers(loader):
        if type(sampler) not in _FINITE and hasattr(sampler, "__len__"):
            with preserved_random_state():
                drawn = sum(1 for _ in islice(sampler, len(sampler) + 1))
            if drawn > len(sampler):
                _refuse(sampler, name, "gives more than its length")


def require_end_of_validation(runner: Runner) -> None:
    """As :func:`require_end_of_evaluation`, for a training run, with or without validation."""
    if runner.val_loop is not None:
        require_end_of_evaluation(runner.val_loop, "val_dataloader")


def _require_length(loader: DataLoader, name: str) -> None:
    try:
        len(loader)
    except TypeError as error:
        raise ConfigError(
            f"{name}: its number of batches is unknown ({error}); give that class a __len__, or set"
            f" {name}.sampler.type=DefaultSampler"
        ) from error


def _require_end(loader: DataLoader, name: str) -> None:
    """Refuse MMEngine's endless sampler and those built alike, as MMDetection's of two sources."""
    for sampler in _samplers(loader):
        if isinstance(sampler, InfiniteSampler) or hasattr(sampler, "_infinite_indices"):
            _refuse(sampler, name)


def _samplers(loader: DataLoader) -> list[Any]:
    """Return the batch sampler, if any, and the samplers within it, the innermost last."""
    found = [loader.sampler if loader.batch_sampler is None else loader.batch_sampler]
    while True:
        outer = found[-1]
        inner = getattr(outer, "batch_sampler", getattr(outer, "sampler", None))
        if inner is None or any(inner is each for each in found):
            return found
        found.append(inner)


def _refuse(sampler: Any, name: str, fault: str = "never ends") -> None:
    more = (
        ", or let train_cfg count iterations (max_iters, by_epoch=False)"
        if name == _TRAINING
        else ""
    )
    raise ConfigError(
        f"{name}: {type(sampler).__name__} {fault}, but the loop waits for its end; set"
        f" {name}.sampler.type=DefaultSampler{more}"
    )
