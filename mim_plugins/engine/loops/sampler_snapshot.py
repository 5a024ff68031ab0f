"""State of samplers at one time."""

import copy
import warnings
from types import GeneratorType
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler

from ...errors import ConfigError
from .sampler_parts import SamplerParts
from .sampler_stream import generator_state, set_generator_state


class SamplerSnapshot:
    """State of samplers, which can be restored, or in which copies of them start.

    Attributes, containers, arrays and iterators are copied, with all links between them. Data sets
    and objects of unknown kinds are shared. Endless samplers of MMEngine begin their order again.

    Args:
        parts: samplers and what they contain.
    """

    def __init__(self, parts: SamplerParts) -> None:
        self._parts = parts
        self._fixed = list(parts.others)
        self._fixed += [each.indices for each in parts.objects if _is_endless(each)]
        self._fault = ""
        self._states = [generator_state(each) for each in parts.generators]
        self._attributes: list[dict[str, Any]] = []
        try:
            memo = self._memo(parts.objects, parts.generators)
            self._attributes = _deep_copy([vars(each) for each in parts.objects], memo)
        except Exception as error:  # most runs do not need the copy
            self._fault = str(error) or type(error).__name__

    def restore(self) -> None:
        """Give the samplers this state again.

        Raises:
            ConfigError: a sampler contains an object that cannot be copied, such as a generator
                function's iterator.
        """
        if self._fault:
            raise self._refusal(self._fault)
        self._place(self._parts.objects, self._parts.generators)

    def copy_of(self, sampler: Any) -> Any:
        """Return a copy of one of the samplers in this state.

        Raises:
            ConfigError: see :meth:`restore`.
        """
        if self._fault:
            raise self._refusal(self._fault)
        try:
            # without attributes, which a __getattr__ or __copy__ may need
            objects = [object.__new__(type(each)) for each in self._parts.objects]
            generators = [_new_generator(each) for each in self._parts.generators]
            memo = self._place(objects, generators)
        except Exception as error:
            raise self._refusal(str(error) or type(error).__name__) from error
        return memo.get(id(sampler), sampler)

    def _place(self, objects: list[Any], generators: list[Any]) -> dict[int, Any]:
        memo = self._memo(objects, generators)
        for each, attributes in zip(objects, _deep_copy(self._attributes, memo), strict=True):
            vars(each).clear()
            vars(each).update(attributes)
            begin_endless(each)
        for each, state in zip(generators, self._states, strict=True):
            set_generator_state(each, state)
        return memo

    def _memo(self, objects: list[Any], generators: list[Any]) -> dict[int, Any]:
        """Return what a deep copy contains for each shared or replaced object, by its id."""
        memo = {id(each): each for each in self._fixed}
        olds = [*self._parts.objects, *self._parts.generators]
        memo |= {id(old): new for old, new in zip(olds, [*objects, *generators], strict=True)}
        return memo

    def _refusal(self, fault: str) -> ConfigError:
        names = ", ".join(dict.fromkeys(type(each).__name__ for each in self._parts.objects))
        return ConfigError(
            f"the samplers of the training data ({names}) store an iterator or another object that"
            f" cannot be copied ({fault}), so their order cannot begin again, which a hook that"
            " reads these data or another train() needs; use another sampler, or remove the hook"
        )


def begin_endless(sampler: Any) -> None:
    """Let a sampler of MMEngine that stores its only iterator begin its order again."""
    if _is_endless(sampler):
        sampler.indices = sampler._indices_of_rank()


def _is_endless(sampler: Any) -> bool:
    """Return whether a sampler stores the iterator of MMEngine's class, and not its own indices."""
    indices = vars(sampler).get("indices")
    code = getattr(getattr(type(sampler), "_indices_of_rank", None), "__code__", None)
    return (
        isinstance(sampler, InfiniteSampler)
        and isinstance(indices, GeneratorType)
        and indices.gi_code is code
    )


def _new_generator(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return torch.Generator(generator.device)
    return copy.deepcopy(generator)


def _deep_copy(values: list[dict[str, Any]], memo: dict[int, Any]) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        # iterators of itertools cannot be copied from Python 3.14 on, which is an error here
        warnings.simplefilter("ignore", DeprecationWarning)
        return copy.deepcopy(values, memo)
