"""Conversion of values to the plain data that a checkpoint may contain."""

import array
import datetime
import decimal
import enum
import fractions
import uuid
from argparse import Namespace
from collections import OrderedDict, deque
from collections.abc import Callable, KeysView, Mapping, ValuesView
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError
from .plain_data import (
    DEPTH,
    KEYS,
    NUMPY_NUMBERS,
    SIMPLE,
    check_tensor,
    inside,
    is_plain,
)
from .safe_globals import is_array

LOST = object()
"""Result of a conversion that is not possible."""

_AS_LIST = (list, set, frozenset, deque, range, array.array, KeysView, ValuesView)
_AS_TEXT = (
    PurePath, datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, uuid.UUID,
    decimal.Decimal, fractions.Fraction,
    torch.device, torch.dtype, torch.layout, torch.memory_format,
)  # fmt: skip
_BASES: tuple[type, ...] = (str, bytes, int, float, complex)


class PlainCopier:
    """Copies values to the plain data that :func:`check_plain` accepts, without shared containers.

    Subclasses become their base types, other containers lists or dicts, dates and paths their text.
    An entry of a dict without such a form is left out, and so is a sequence with
    such an element.

    Args:
        numbers: keep NumPy's numbers instead of converting them to Python's.
        arrays: keep NumPy's arrays of numbers instead of converting them to lists.
        function_text: returns the text that replaces a function or callable object; None to leave
            functions out.

    Attributes:
        changed: place and types of each value that has another type in the copy.
    """

    def __init__(
        self,
        numbers: bool = True,
        arrays: bool = True,
        function_text: Callable[[Any], str] | None = None,
    ) -> None:
        self._numbers = numbers
        self._arrays = arrays
        self._function_text = function_text
        self.changed: list[str] = []
        self._lost: list[tuple[str, str]] = []  # place, and type of the value that prevents a copy

    @property
    def lost(self) -> list[str]:
        """Place of each value that is left out, with the type that is the cause."""
        return [f"{where} ({cause})" for where, cause in self._lost]

    def copy(self, value: Any, where: str, depth: int = 0) -> Any:
        """Return a plain copy of the value at ``where``, or :data:`LOST`."""
        known = len(self._lost)
        plain = LOST if depth > DEPTH else self._convert(value, where, depth)
        if plain is LOST:
            cause = self._lost[known][1] if len(self._lost) > known else type(value).__name__
            self._lost[known:] = [(where, cause)]
        elif type(plain) is not type(value) and not isinstance(value, np.ndarray | Tensor):
            self.changed.append(f"{where} ({type(value).__name__} as {type(plain).__name__})")
        return plain

    def _convert(self, value: Any, where: str, depth: int) -> Any:
        if type(value) in SIMPLE:
            return value if is_plain(value) else LOST
        if isinstance(value, Tensor):
            return plain_tensor(value)
        if isinstance(value, np.generic | np.ndarray):
            return self._convert_numpy(value, where, depth)
        if isinstance(value, enum.Enum):
            return self.copy(value.value, where, depth + 1)
        for base in _BASES:
            if isinstance(value, base):
                return base(value)
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        if isinstance(value, _AS_TEXT):
            return str(value)
        if isinstance(value, Mapping | Namespace):
            return self._convert_mapping(value, where, depth)
        if isinstance(value, (tuple, *_AS_LIST)):
            parts = [
                self.copy(part, f"{where}[{number}]", depth + 1)
                for number, part in enumerate(_ordered(value))
            ]
            if any(part is LOST for part in parts):
                return LOST
            return tuple(parts) if isinstance(value, tuple) else parts
        if callable(value) and self._function_text is not None:
            return self._function_text(value)
        return LOST

    def _convert_numpy(self, value: Any, where: str, depth: int) -> Any:
        if isinstance(value, np.ndarray):
            if self._arrays and is_array(value):
                return value
            if self._arrays and is_array(np.asarray(value)):
                return np.array(value)  # of a subclass
            return LOST if value.dtype.names else self.copy(value.tolist(), where, depth + 1)
        if self._numbers and type(value) in NUMPY_NUMBERS:
            return value
        number = value.item()
        if isinstance(number, np.longdouble):
            return float(number) if float(number) == number else LOST
        return number if type(number) in SIMPLE else LOST

    def _convert_mapping(self, value: Any, where: str, depth: int) -> Any:
        is_ordered = type(value) is OrderedDict
        plain: dict = OrderedDict() if is_ordered else {}
        for key, entry in (vars(value) if isinstance(value, Namespace) else value).items():
            name = _plain_key(key)
            copied = LOST if name is LOST else self.copy(entry, inside(where, key), depth + 1)
            if copied is not LOST:
                plain[name] = copied
            elif name is LOST:
                self._lost.append((inside(where, key), f"key of type {type(key).__name__}"))
        if is_ordered and "_metadata" in vars(value):  # of a state dict
            vars(plain)["_metadata"] = vars(value)["_metadata"]
        return plain


def plain_tensor(tensor: Tensor) -> Any:
    """Return a tensor without subclass and extra attributes that stores all its values.

    The result is :data:`LOST` if the tensor has no such form, for instance on the meta device.
    """
    for form in (_same, _bare, _dense, _copied):
        try:
            plain = form(tensor)
            check_tensor(plain, "")
        except (CheckpointError, RuntimeError, TypeError, NotImplementedError):
            continue
        return plain
    return LOST


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _bare(tensor: Tensor) -> Tensor:
    return tensor.detach().as_subclass(Tensor)


def _dense(tensor: Tensor) -> Tensor:
    return tensor.detach().to_dense().as_subclass(Tensor)


def _copied(tensor: Tensor) -> Tensor:
    return _bare(tensor).clone(memory_format=torch.contiguous_format)


def _ordered(values: Any) -> list:
    """Return the elements of a sequence or, in an order that does not depend on hashes, a set."""
    parts = list(values)
    if isinstance(values, set | frozenset):
        parts.sort(key=lambda part: (type(part).__name__, repr(part)))
    return parts


def _plain_key(key: Any) -> Any:
    """Return a plain key of a dict, or :data:`LOST`."""
    if type(key) in KEYS or (type(key) is tuple and is_plain({key: None})):
        return key
    copied = PlainCopier(numbers=False).copy(key, "")
    return copied if copied is not LOST and is_plain({copied: None}) else LOST
