"""Objects whose state decides the order of a sampler."""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
# of Python, NumPy and PyTorch; a sampler may store them
GLOBAL_GENERATORS = (random.seed.__self__, np.random.mtrand._rand, torch.default_generator)  # type: ignore[attr-defined]
_DATA = ("dataset", "data_source")  # attributes that contain images or their list
_FUNCTIONS_OF_EPOCH = {
    "torch": "BatchSampler DistributedSampler RandomSampler SequentialSampler SubsetRandomSampler"
    " WeightedRandomSampler",
    "mmengine": "DefaultSampler InfiniteSampler",
    "mmpretrain": "RepeatAugSampler SequentialSampler",
    "mmdet": "ClassAwareSampler MultiDataSampler TrackImgSampler AspectRatioBatchSampler"
    " TrackAspectRatioBatchSampler MultiDataAspectRatioBatchSampler",
    "mim_plugins": "MixtureSampler",
}
_ATOMIC = (int, float, str, bytes, type(None), type)
_COPIED = (torch.Tensor, np.ndarray)
_INDICES = (list, tuple, range, *_COPIED)  # without their subclasses


class SamplerParts(NamedTuple):
    """Parts of a sampler, each once and in a fixed order, the outermost first."""

    chain: list[Any]
    """Batch sampler and the samplers within it, of any class, see :func:`nested_samplers`."""
    objects: list[Any]
    """Samplers and iterators with attributes, including those of the chain."""
    generators: list[Any]
    """Random generators of PyTorch, NumPy and Python, without the global ones."""
    others: list[Any]
    """Objects that all copies of a sampler share, such as the data set."""

    @property
    def samplers(self) -> list[Any]:
        """The chain, also lists and classes with ``__slots__`` in it, then all other samplers."""
        chain = {id(each) for each in self.chain}
        return [*self.chain, *(each for each in self.objects if id(each) not in chain)]


def find_parts(outermost: Any, dataset: Any = None) -> SamplerParts:
    """Return the parts of a batch sampler that its attributes and containers in them contain.

    Args:
        outermost: batch sampler.
        dataset: data set of its loader, which may be a list of images.
    """
    chain = nested_samplers(outermost)
    parts = SamplerParts(chain, [], [], [dataset])
    seen, waiting = {id(dataset)} - {id(each) for each in chain}, deque(chain)
    while waiting:
        value = waiting.popleft()
        if isinstance(value, _ATOMIC) or id(value) in seen:
            continue
        seen.add(id(value))
        if _is_generator(value):
            parts.generators.append(value)
        elif (elements := _elements(value)) is not None:
            waiting.extend(elements)
        elif isinstance(value, _COPIED) and not isinstance(value, np.memmap):
            continue
        elif _is_stepped(value) or any(value is each for each in chain):
            if not hasattr(value, "__dict__"):
                continue  # an iterator such as those of itertools, which is copied
            parts.objects.append(value)
            parts.others.extend(v for name, v in vars(value).items() if name in _DATA)
            waiting.extend(v for name, v in vars(value).items() if name not in _DATA)
        else:
            parts.others.append(value)
    return parts


def nested_samplers(outermost: Any) -> list[Any]:
    """Return a sampler or batch sampler, and the samplers within it, innermost last."""
    found = [outermost]
    while True:
        inner = getattr(found[-1], "batch_sampler", getattr(found[-1], "sampler", None))
        if inner is None or any(inner is each for each in found):
            return found
        found.append(inner)


def is_function_of_epoch(parts: SamplerParts) -> bool:
    """Return whether an epoch's order depends on seed and epoch, and not on earlier epochs."""
    return not parts.generators and all(map(_is_known, parts.samplers))


def _is_known(sampler: Any) -> bool:
    if type(sampler) in _INDICES:
        return True
    package, name = type(sampler).__module__.partition(".")[0], type(sampler).__name__
    return name in _FUNCTIONS_OF_EPOCH.get(package, "").split()


def _is_generator(value: Any) -> bool:
    return (
        isinstance(value, _GENERATORS)
        and not isinstance(value, random.SystemRandom)  # which has no state
        and not any(value is each for each in GLOBAL_GENERATORS)
    )


def _elements(value: Any) -> Iterable | None:
    """Return what a container, method or partial function contains, None for other objects."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return value
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    return None


def _is_stepped(value: Any) -> bool:
    """Return whether an object may change while indices are drawn from it."""
    if isinstance(value, (Sampler, Iterator)):
        return True
    is_data = isinstance(value, (Dataset, DataLoader)) or hasattr(type(value), "__getitem__")
    return hasattr(type(value), "__iter__") and not is_data
