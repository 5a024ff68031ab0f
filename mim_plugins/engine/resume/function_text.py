"""Text that identifies a function or callable object in a checkpoint."""

import functools
import hashlib
import types
from typing import Any

import numpy as np
from torch import Tensor

from ...checkpoints.plain_data import SIMPLE, describe
from ...errors import ConfigError

_DEPTH = 16


def function_text(value: Any, owner: object = None) -> str:
    """Return a name and a digest of a function's code, default arguments and bound values.

    Equal functions have equal texts in every process of the same Python version. Global names that
    the code reads are not followed.

    Args:
        value: function, method, ``functools.partial`` or object with a method ``__call__``.
        owner: object that stores it; its own state is not part of the text.

    Raises:
        ConfigError: the function depends on an object whose state cannot be compared.
    """
    digest = hashlib.sha256(_parts(value, {id(owner)}, 0).encode(errors="replace")).hexdigest()
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name} {digest[:16]}"


def _parts(value: Any, above: set[int], depth: int) -> str:
    """Return a text with everything that determines the value."""
    if id(value) in above:
        return "(above)"
    if depth > _DEPTH:
        raise ConfigError(f"{describe(value)} is nested too deeply")
    rest: list[Any]
    if type(value) in SIMPLE or isinstance(value, np.generic):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, Tensor):
        value = value.detach().cpu().double().numpy()
    if isinstance(value, np.ndarray):
        rest = [value.shape, value.dtype.str, value.tolist()]
    elif isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, types.CodeType):
        rest = [value.co_code, value.co_names, value.co_consts]
    elif isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        rest = [value.__code__, value.__defaults__, value.__kwdefaults__, cells]
    elif isinstance(value, types.MethodType):
        rest = [value.__func__, value.__self__]
    elif isinstance(value, functools.partial):
        rest = [value.func, value.args, value.keywords]
    elif isinstance(value, types.BuiltinFunctionType | np.ufunc):
        return f"{getattr(value, '__module__', '')}.{value.__name__}"
    elif isinstance(value, dict):
        rest = [part for item in value.items() for part in item]
    elif isinstance(value, set | frozenset):
        return f"{type(value).__name__} {sorted(_parts(e, above, depth + 1) for e in value)}"
    elif isinstance(value, list | tuple):
        rest = list(value)
    elif type(value).__module__ != "builtins" and hasattr(value, "__dict__"):
        rest = [type(value), vars(type(value)).get("__call__"), vars(value)]
    else:
        raise ConfigError(f"{describe(value)} cannot be compared")
    above = above | {id(value)}
    return f"{type(value).__name__}({', '.join(_parts(e, above, depth + 1) for e in rest)})"
