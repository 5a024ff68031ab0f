"""Checks that checkpoints consist of plain data.

A file that passes ``weights_only`` may still contain any allowed type at any place, where other
code does not expect it. So each place accepts only the types that MMEngine and PyTorch store there:
no subclasses, and no NumPy numbers instead of Python's.
"""

from collections import OrderedDict
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..errors import CheckpointError
from .safe_globals import is_array
from .tensor_check import special_kind

NONE = type(None)
DICTS = (dict, OrderedDict)
TENSORS = (Tensor, nn.Parameter)
SIMPLE = (NONE, bool, int, float, complex, str, bytes)
NUMPY_NUMBERS = tuple({np.dtype(code).type for code in "?bhilqBHILQefd"})
KEYS = (NONE, bool, int, float, str)
DEPTH = 32
_LIMIT = 2**64


def expect(value: object, where: str, *kinds: type) -> None:
    """Check that the type of ``value`` at ``where`` is one of ``kinds`` and not a subclass.

    Raises:
        CheckpointError: the value has another type.
    """
    if type(value) not in kinds:
        wanted = " or ".join("None" if kind is NONE else kind.__name__ for kind in kinds[:3])
        raise CheckpointError(f"{where} is {describe(value)}, not {wanted}")


def expect_all(values: Any, where: str, *kinds: type) -> None:
    """Check that ``values`` is a list of values of ``kinds``.

    Raises:
        CheckpointError: it is another type, or an element has another type.
    """
    expect(values, where, list)
    for number, value in enumerate(values):
        expect(value, f"{where}[{number}]", *kinds)


def check_plain(value: Any, where: str, numpy: bool = True) -> None:
    """Check that a value and all nested values are plain data.

    Args:
        value: any object.
        where: its place in the checkpoint, for the message.
        numpy: accept NumPy's numbers and arrays of numbers.

    Raises:
        CheckpointError: a value has another type, or the nesting is too deep.
    """
    _walk(value, where, numpy, set(), 0)


def is_plain(value: object) -> bool:
    """Return whether :func:`check_plain` accepts a value."""
    try:
        check_plain(value, "")
    except CheckpointError:
        return False
    return True


def check_tensor(tensor: Tensor, where: str) -> None:
    """Check that a tensor is dense, stores its values and has no attributes that hide methods.

    Raises:
        CheckpointError: a check fails.
    """
    expect(tensor, where, *TENSORS)
    if vars(tensor):
        raise CheckpointError(f"{where} is a tensor with extra attributes")
    kind = special_kind(tensor)
    if kind:
        raise CheckpointError(f"{where} is not a plain tensor ({kind})")


def inside(where: str, name: object) -> str:
    """Return the place of an entry of the container at ``where``, printable on any console."""
    text = name if type(name) is str and name.isprintable() else describe(name)
    return f"{where}.{text[:80]}"


def describe(value: object) -> str:
    """Return a value's type, and the value itself if it is short."""
    kind = type(value)
    if value is None:
        return "None"
    if kind in (bool, float) or (type(value) is int and abs(value) < _LIMIT):
        return f"{kind.__name__} {value}"
    if type(value) is str:
        return f"str {value[:40]!a}"
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _walk(value: Any, where: str, numpy: bool, done: set[int], depth: int) -> None:
    kind = type(value)
    if type(value) is int and abs(value) >= _LIMIT:
        raise CheckpointError(f"{where} is an int of more than 64 bits")
    if kind in SIMPLE or (numpy and (kind in NUMPY_NUMBERS or is_array(value))):
        return
    if kind in TENSORS:
        check_tensor(value, where)
        return
    if depth > DEPTH:
        raise CheckpointError(f"{where[:60]}... is nested more than {DEPTH} levels deep")
    if id(value) in done:  # a small file with shared parts could otherwise take forever
        return
    if kind in DICTS:
        if kind is OrderedDict and set(vars(value)) - {"_metadata"}:
            raise CheckpointError(f"{where} is an OrderedDict with extra attributes")
        for key, entry in value.items():
            if type(key) not in KEYS:
                expect(key, f"a key in {where}", tuple)
                _walk(key, f"a key in {where}", False, done, depth + 1)
            _walk(entry, inside(where, key), numpy, done, depth + 1)
    elif kind in (list, tuple):
        for number, entry in enumerate(value):
            _walk(entry, f"{where}[{number}]", numpy, done, depth + 1)
    else:
        raise CheckpointError(f"{where} is {describe(value)}, which is not plain data")
    done.add(id(value))
