"""Batches of one epoch in an order that depends only on a key."""

import copy
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ...randomness import preserved_random_state, seed_generators

_REPRODUCIBLE = (
    BatchSampler,
    DefaultSampler,
    DistributedSampler,
    InfiniteSampler,
    SequentialSampler,
)
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
_SINGLE_PROCESS = (BatchSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
_SHORT, _DEPTH = 1000, 3  # containers in which samplers and generators are searched
_ORDER = 2**32 - 1  # last number of the key; samples have their batch there, which is smaller


class OrderedBatches(Iterator):
    """Batches of a batch sampler, as a function of seed, rank and epoch.

    Samplers such as PyTorch's ``RandomSampler`` continue the random numbers of a generator, so
    their order would depend on all earlier numbers of the process. Here, they draw from separate
    streams that begin with the epoch: global generators are exchanged while a sampler runs, and
    generators that it stores are replaced. Samplers that depend only on their seed and epoch are
    unchanged. Other state of a sampler is that of :class:`SamplerHistory`.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        seed: seed of the run.
        rank: see :func:`order_rank`.
        epoch: epoch of the batches.
    """

    def __init__(self, batch_sampler: Any, seed: int, rank: int, epoch: int) -> None:
        samplers = all_samplers(batch_sampler)
        self._is_reproducible = all(type(each) in _REPRODUCIBLE for each in samplers)
        self._key = (seed, rank, epoch, _ORDER)
        self._state: tuple | None = None
        for sampler in samplers:
            if isinstance(sampler, InfiniteSampler):
                # it stores its only iterator, which another reader of the data may have advanced
                sampler.indices = sampler._indices_of_rank()
            if not self._is_reproducible:
                _replace_generators(sampler, self._key)
        with self._stream():
            self._batches = iter(batch_sampler)

    def skip(self, count: int) -> int:
        """Skip up to ``count`` batches and return their number, which is less at the end."""
        with self._stream():
            return sum(1 for _ in islice(self._batches, count))

    def finish(self) -> None:
        """Let the sampler run its code after the last batch, unless it has more batches."""
        self.skip(1)

    def __next__(self) -> list:
        """Return the next batch of indices."""
        with self._stream():
            batch = next(self._batches, None)
        if batch is None:
            raise StopIteration
        return batch

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """Continue the global generators where the previous block ended."""
        if self._is_reproducible:
            yield
            return
        with preserved_random_state(cuda=False):
            if self._state is None:
                seed_generators(*self._key)
            else:
                python, numpy, pytorch = self._state
                random.setstate(python)
                np.random.set_state(numpy)
                torch.set_rng_state(pytorch)
            yield
            self._state = random.getstate(), np.random.get_state(), torch.get_rng_state()


def nested_samplers(outermost: Any) -> list[Any]:
    """Return a sampler or batch sampler, and the samplers within it, innermost last."""
    found = [outermost]
    while True:
        inner = getattr(found[-1], "batch_sampler", getattr(found[-1], "sampler", None))
        if inner is None or any(inner is each for each in found):
            return found
        found.append(inner)


def all_samplers(outermost: Any) -> list[Any]:
    """Return :func:`nested_samplers` and all other samplers that their attributes contain."""
    found = nested_samplers(outermost)
    for sampler in found:  # which grows
        for each in stored_values(sampler):
            if isinstance(each, Sampler) and not any(each is other for other in found):
                found.append(each)
    return found


def stored_values(sampler: Any) -> list[Any]:
    """Return the attributes of a sampler and the elements of short containers in them."""
    found = [(value, _DEPTH) for value in getattr(sampler, "__dict__", {}).values()]
    for value, depth in found:  # which grows
        found += [(each, depth - 1) for each in _elements(value, depth)]
    return [value for value, _ in found]


def _elements(value: Any, depth: int) -> list[Any]:
    if not depth or not isinstance(value, (list, tuple, dict, deque)) or len(value) > _SHORT:
        return []
    return list(value.values() if isinstance(value, dict) else value)


def order_rank(batch_sampler: Any, rank: int, ranks_differ: bool) -> int:
    """Return the rank in the key of the order: 0 if all processes draw the same numbers.

    Samplers that divide the indices among the processes need the same order everywhere. PyTorch's
    random samplers draw from the whole data set in each process, so equal numbers would give all
    processes the same images. Other samplers draw as in MMEngine.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        rank: rank of this process.
        ranks_differ: ``randomness.diff_rank_seed`` of the run.
    """
    samplers = nested_samplers(batch_sampler)
    if any(hasattr(each, "rank") or hasattr(each, "num_replicas") for each in samplers):
        return 0
    return rank if ranks_differ or all(type(each) in _SINGLE_PROCESS for each in samplers) else 0


def _replace_generators(sampler: Any, key: Sequence[int]) -> None:
    """Replace the generators that a sampler stores; their other users keep the former ones."""
    for name, value in list(getattr(sampler, "__dict__", {}).items()):
        new = _renewed(value, key, _DEPTH)
        if new is not value:
            setattr(sampler, name, new)


def _renewed(value: Any, key: Sequence[int], depth: int) -> Any:
    """Return a value with new generators, or the same object if it contains none."""
    if isinstance(value, GENERATORS):
        return _new_generator(value, key) or value
    old = _elements(value, depth)
    new = [_renewed(each, (*key, index), depth - 1) for index, each in enumerate(old)]
    if all(one is other for one, other in zip(old, new, strict=True)):
        return value
    if isinstance(value, dict):
        return with_values(value, new)
    if isinstance(value, deque):
        return deque(new, value.maxlen)
    return type(value)(*new) if hasattr(value, "_fields") else type(value)(new)


def with_values(original: dict, values: list[Any]) -> dict:
    """Return a copy of a dict of any class with other values."""
    copied = copy.copy(original)  # a defaultdict keeps its factory
    for name, value in zip(original, values, strict=True):
        copied[name] = value  # the update of a Counter would add
    return copied


def _new_generator(value: Any, key: Sequence[int]) -> Any:
    """Return a generator of the same kind that begins with a key, None for an unknown kind."""
    sequence = np.random.SeedSequence(key)
    seed = int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
    if isinstance(value, torch.Generator):
        return torch.Generator(value.device).manual_seed(seed)
    if isinstance(value, np.random.Generator):
        return np.random.Generator(type(value.bit_generator)(sequence))
    if isinstance(value, np.random.RandomState):
        return np.random.RandomState(sequence.generate_state(4))
    return random.Random(seed) if type(value) is random.Random else None
