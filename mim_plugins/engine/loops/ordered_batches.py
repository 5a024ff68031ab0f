"""Batches of one epoch in an order that depends only on a key."""

import random
from collections.abc import Iterator
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
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ...randomness import preserved_random_state, seed_generators
from .sampler_parts import SamplerParts, nested_samplers

_REPRODUCIBLE = (
    BatchSampler,
    DefaultSampler,
    DistributedSampler,
    InfiniteSampler,
    SequentialSampler,
)
_SINGLE_PROCESS = (BatchSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
_ORDER = 2**32 - 1  # last number of the key; samples have their batch there, which is smaller


class OrderedBatches(Iterator):
    """Batches of a batch sampler, as a function of seed, rank and epoch.

    Samplers such as PyTorch's ``RandomSampler`` continue the global generators, so their order
    would depend on all earlier numbers of the process. Here, the global generators are exchanged
    while a sampler runs, for streams that begin with the epoch. A sampler's other generators and
    its other state are those of :class:`SamplerHistory`.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        seed: seed of the run.
        rank: see :func:`order_rank`.
        epoch: epoch of the batches.
        parts: parts of the batch sampler.
    """

    def __init__(
        self, batch_sampler: Any, seed: int, rank: int, epoch: int, parts: SamplerParts
    ) -> None:
        self._is_reproducible = all(type(each) in _REPRODUCIBLE for each in parts.objects)
        self._key = (seed, rank, epoch, _ORDER)
        self._state: tuple | None = None
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


def order_rank(batch_sampler: Any, rank: int, ranks_differ: bool) -> int:
    """Return the rank in the key of the order: 0 if all processes draw the same numbers.

    Samplers that divide the indices among the processes need the same order everywhere. PyTorch's
    random samplers in its batch sampler draw from the whole data set in each process, so equal
    numbers would give all processes the same images. All others draw as in MMEngine, since they may
    divide what an inner sampler draws.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        rank: rank of this process.
        ranks_differ: ``randomness.diff_rank_seed`` of the run.
    """
    samplers = nested_samplers(batch_sampler)
    if any(hasattr(each, "rank") or hasattr(each, "num_replicas") for each in samplers):
        return 0
    return rank if ranks_differ or draws_from_all(batch_sampler) else 0


def draws_from_all(batch_sampler: Any) -> bool:
    """Return whether a batch sampler of PyTorch draws from the whole data set in each process."""
    return all(type(each) in _SINGLE_PROCESS for each in nested_samplers(batch_sampler))
