"""State of samplers that depends on earlier epochs."""

import copy
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from .ordered_batches import GENERATORS

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
_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, range)


class SamplerHistory:
    """Moves samplers to the start of an epoch, with the state that earlier epochs leave.

    Custom samplers may count epochs in an attribute, or keep indices for a later epoch. When a run
    is resumed, the indices of earlier epochs are therefore drawn again. One epoch suffices if it
    leaves the attributes of all samplers unchanged.

    Args:
        samplers: a batch sampler and the samplers within it, see :func:`all_samplers`.
    """

    def __init__(self, samplers: list[Any]) -> None:
        self._samplers = samplers
        self._has_state = any(type(each) not in _WITHOUT_STATE for each in samplers)
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
        while self._epoch < epoch:
            self.set_epoch(self._epoch)
            before = self._state()
            run(self._epoch)
            is_unchanged = _is_same(before, self._state())
            self._epoch = epoch if is_unchanged else self._epoch + 1
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
        """Return copies of the samplers in their first state, which share the data set."""
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
        copied = copy.copy(value)  # a defaultdict keeps its factory
        copied.update({key: _copied(each) for key, each in value.items()})
        return copied
    if isinstance(value, deque):
        return deque(map(_copied, value), value.maxlen)
    return type(value)(map(_copied, value)) if type(value) in _CONTAINERS else value


def _is_same(first: Any, second: Any, name: str = "") -> bool:
    """Return whether two states are equal; False if an object may have changed unseen."""
    if name in _SHARED or isinstance(first, (*GENERATORS, Sampler)):
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return first.dtype != object and np.array_equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(
            _is_same(first[key], second[key], str(key)) for key in first
        )
    if isinstance(first, set):
        return first == second
    if isinstance(first, (list, tuple, deque)):
        return len(first) == len(second) and all(map(_is_same, first, second))
    return isinstance(first, _PLAIN) and bool(first == second)
