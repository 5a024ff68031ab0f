"""Random numbers of samplers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ...randomness import preserved_random_state, seed_generators
from .sampler_parts import GLOBAL_GENERATORS, SamplerParts, is_function_of_epoch, nested_samplers

_RANDOM = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


class SamplerStream:
    """Random numbers that only the samplers of a training draw.

    While samplers run, the states of the global generators and of the samplers' own ones are
    exchanged for those of the stream. The numbers of PyTorch's ``RandomSampler`` would otherwise
    depend on all others of the process, and those of a generator that samplers share with a
    validation or a data set on its draws.

    Args:
        parts: samplers, and the generators whose present states begin the stream.
    """

    def __init__(self, parts: SamplerParts) -> None:
        is_random = any(isinstance(each, _RANDOM) for each in parts.objects)
        self._is_used = is_random or not is_function_of_epoch(parts)  # an exchange takes 0.1 ms
        self._generators = [*GLOBAL_GENERATORS, *parts.generators]
        self._states = self._present()
        self.seed(0)

    def seed(self, *key: int) -> None:
        """Seed the global generators of the stream; the samplers' own ones continue."""
        with preserved_random_state(cuda=False):
            seed_generators(*key)
            self._states[: len(GLOBAL_GENERATORS)] = map(generator_state, GLOBAL_GENERATORS)

    @contextmanager
    def entered(self, keep: bool = True) -> Iterator[None]:
        """Continue the stream within the block; without ``keep``, its numbers are drawn again."""
        if not self._is_used:
            yield
            return
        outside = self._present()
        self._set(self._states)
        try:
            yield
        finally:
            if keep:
                self._states = self._present()
            self._set(outside)

    def _present(self) -> list[Any]:
        return list(map(generator_state, self._generators))

    def _set(self, states: list[Any]) -> None:
        for generator, state in zip(self._generators, states, strict=True):
            set_generator_state(generator, state)


def generator_state(generator: Any) -> Any:
    """Return the state of a random generator of PyTorch, NumPy or Python."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def set_generator_state(generator: Any, state: Any) -> None:
    """Set a state of :func:`generator_state`."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


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
    return all(type(each) in (BatchSampler, *_RANDOM) for each in nested_samplers(batch_sampler))
