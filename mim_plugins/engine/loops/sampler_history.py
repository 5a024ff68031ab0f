"""State of samplers that depends on earlier epochs."""

import copy
from collections import deque
from collections.abc import Callable
from types import GeneratorType
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ...errors import ConfigError
from .ordered_batches import stored_values, with_values

_WITHOUT_STATE = (
    BatchSampler,
    DefaultSampler,
    DistributedSampler,
    InfiniteSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
_SHARED = ("dataset", "data_source", "batch_sampler", "sampler")  # attributes that are not copied
_CONTAINERS = (list, tuple, set, dict, deque)


class SamplerHistory:
    """Moves samplers to the start of an epoch, with the state that earlier epochs leave.

    Custom samplers may count epochs in an attribute, or keep indices for a later epoch. When a run
    is resumed, the indices of all earlier epochs are therefore drawn again, without reading any
    image. The samplers of PyTorch, MMEngine, mmpretrain and this package need no history.

    Args:
        samplers: a batch sampler and the samplers within it, see :func:`all_samplers`.
    """

    def __init__(self, samplers: list[Any]) -> None:
        self._samplers = samplers
        self._has_state = not all(map(_is_stateless, samplers))
        self._initial: list[dict[str, Any]] | None = None  # seeds are set after construction
        self._epoch: int | None = 0  # whose start the samplers have reached; None within an epoch

    def begin(self, epoch: int, run: Callable[[int], object]) -> None:
        """Move the samplers to the start of ``epoch``.

        Args:
            epoch: number of complete epochs.
            run: function that draws all indices of an epoch.
        """
        if not self._has_state:
            return
        self._remember()
        if self._epoch is None or self._epoch > epoch:
            self._restore()
            self._epoch = 0
        if epoch - self._epoch > 1:
            print_log(f"drawing the indices of {epoch - self._epoch} earlier epochs", "current")
        for past in range(self._epoch, epoch):
            self.set_epoch(past)
            run(past)
        self._epoch = None

    def end(self, epoch: int) -> None:
        """Record that all indices of ``epoch`` have been drawn."""
        self._epoch = epoch + 1

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of all samplers that have one."""
        for sampler in reversed(self._samplers):
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)

    def copied_samplers(self) -> list[Any]:
        """Return copies of the samplers in their first state, which share the data set.

        Raises:
            ConfigError: a sampler stores an iterator, which cannot be copied.
        """
        for each in self._samplers:
            own = getattr(each, "indices", None) if isinstance(each, InfiniteSampler) else None
            if any(isinstance(v, GeneratorType) and v is not own for v in stored_values(each)):
                raise ConfigError(
                    f"a hook reads the training data, but {type(each).__name__} stores an iterator,"
                    " so the hook would take batches of the training; use another sampler, or"
                    " remove the hook"
                )
        self._remember()
        copies = [copy.copy(each) for each in self._samplers]
        history = SamplerHistory(copies)
        history._initial = self._initial
        history._restore()
        by_original = {id(old): new for old, new in zip(self._samplers, copies, strict=True)}
        for attributes in map(_attributes, copies):
            for name, value in attributes.items():
                if type(value) in (list, tuple):
                    attributes[name] = type(value)(by_original.get(id(v), v) for v in value)
                else:
                    attributes[name] = by_original.get(id(value), value)
        return copies

    def _remember(self) -> None:
        if self._initial is None:
            self._initial = self._state()

    def _restore(self) -> None:
        for sampler, state in zip(self._samplers, self._initial or [], strict=False):
            attributes = _attributes(sampler)
            for name in [name for name in attributes if name not in state]:
                del attributes[name]
            attributes.update({name: _copied(value, name) for name, value in state.items()})

    def _state(self) -> list[dict[str, Any]]:
        return [
            {name: _copied(value, name) for name, value in _attributes(each).items()}
            for each in self._samplers
        ]


def _is_stateless(sampler: Any) -> bool:
    """Return whether the order of a sampler depends on its seed and the epoch alone."""
    package = type(sampler).__module__.partition(".")[0]
    return type(sampler) in _WITHOUT_STATE or package in ("mim_plugins", "mmpretrain")


def _attributes(sampler: Any) -> dict[str, Any]:
    return getattr(sampler, "__dict__", {})


def _copied(value: Any, name: str = "") -> Any:
    """Return a copy of a container and of the containers in it; other objects are shared."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if name in _SHARED or not isinstance(value, _CONTAINERS):
        return value
    if isinstance(value, dict):
        return with_values(value, [_copied(each) for each in value.values()])
    if isinstance(value, deque):
        return deque(map(_copied, value), value.maxlen)
    return type(value)(map(_copied, value)) if type(value) in _CONTAINERS else value
