"""Allow-list with which MMEngine's training checkpoints load under ``weights_only=True``.

Since version 2.6, PyTorch unpickles only plain data and allow-listed types. MMEngine's training
checkpoints also contain log buffers and NumPy numbers, which are allowed here and nothing else, so
malicious files are still refused. NumPy's and MMEngine's own unpickling functions do not check
their arguments: a pickle could pass a data type that interprets raw bytes as object pointers, or
replace the statistics of all log buffers. They are therefore replaced by functions and classes that
accept numbers only.

PyTorch lets a pickle call each allowed class with any arguments, and set any attribute, including
``__class__``, of instances without ``__setstate__``. So each class here has a ``__setstate__`` that
checks the content, and can be called only as the writers of such checkpoints do.
"""

import argparse
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from ..errors import CheckpointError

_STATISTICS = ("min", "max", "mean", "current")
_NUMBER = re.compile("b1|[iu][1248]|f[248]")
_RESTRICTED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_UNRESTRICTED = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_TRUE = ("1", "y", "yes", "true")  # as PyTorch parses both variables
_BUFFER_FIELDS = {"max_length", "_log_history", "_count_history"}


def _refusal(content: str) -> CheckpointError:
    return CheckpointError(f"the checkpoint contains {content}; it is refused")


def _described(value: object) -> str:
    """Return a short text about a value, without calling its methods."""
    return f"{value:.60}" if type(value) is str else type(value).__name__


def _history_buffer_method(owner: object, name: str) -> object:
    """Replace ``getattr`` in checkpoints; allow only the four methods that MMEngine pickles."""
    if owner is _SavedHistoryBuffer and type(name) is str and name in _STATISTICS:
        return name  # unused, because a buffer has the methods of its class
    raise _refusal(f"a reference to attribute {_described(name)} of {_described(owner)}")


class _SavedDtype:
    """Replacement of ``numpy.dtype`` for types of numbers."""

    __slots__ = ("dtype",)  # so that an instance of no other class can become one
    dtype: np.dtype

    def __new__(cls, code: object = None, align: object = False, copy: object = False) -> Any:
        if type(code) is not str or not _NUMBER.fullmatch(code):
            raise _refusal(f"a NumPy type that is not a number ({_described(code)})")
        saved = super().__new__(cls)
        saved.dtype = np.dtype(code)
        return saved

    def __setstate__(self, state: Any) -> None:
        order: Any = state[1] if type(state) is tuple and len(state) == 8 else None
        is_order = type(order) is str and order in ("<", ">", "=", "|")
        if not is_order or state != (3, order, None, None, None, -1, -1, 0):
            raise _refusal("a NumPy type that is not a number")
        self.dtype = self.dtype.newbyteorder(order)


class _SavedArray(np.ndarray):
    """Replacement of ``numpy.ndarray`` for arrays of numbers; it is pickled as an ndarray."""

    _has_content: bool

    def __new__(cls, *_: object) -> Any:
        raise _refusal("a NumPy array of an unknown format")  # a call could pass any type

    def __setstate__(self, state: Any) -> None:
        # a second content would free the first one, which other objects may use
        if hasattr(self, "_has_content") or type(state) is not tuple or len(state) != 5:
            raise _refusal("a NumPy array of an unknown format")
        _, shape, kind, is_fortran, content = state
        if (
            type(kind) is not _SavedDtype
            or type(content) is not bytes
            or type(shape) is not tuple
            or any(type(side) is not int or side < 0 for side in shape)
            or math.prod(shape) * kind.dtype.itemsize != len(content)
        ):
            raise _refusal("a NumPy array that does not consist of numbers")
        self._has_content = True
        state = (1, shape, kind.dtype, bool(is_fortran), content)
        super().__setstate__(state)  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.view(np.ndarray).__reduce_ex__(protocol)


def _new_array(kind: object, *_: object) -> _SavedArray:
    """Replace NumPy's ``_reconstruct``; return an empty array whose state is set later."""
    if kind is not _SavedArray:
        raise _refusal(f"a NumPy array of another class ({_described(kind)})")
    return np.ndarray.__new__(_SavedArray, 0)


def _number(kind: object, content: object) -> np.generic:
    """Replace NumPy's ``scalar``."""
    if type(kind) is not _SavedDtype or type(content) is not bytes:
        raise _refusal("a NumPy scalar that is not a number")
    if len(content) != kind.dtype.itemsize:
        raise _refusal("a NumPy scalar whose size is not that of its type")
    return np.frombuffer(content, kind.dtype)[0]


def _no_bytes() -> bytes:
    """Replace ``bytes``, which pickles call for the content of an empty array."""
    return b""


def _require_none(arguments: tuple, kind: type) -> None:
    if arguments:  # pickles of both classes have a state instead
        raise _refusal(f"a {kind.__name__} made from arguments")


class _SavedHistoryBuffer(HistoryBuffer):
    """Replacement of ``HistoryBuffer``; after its content is checked, it becomes one."""

    def __new__(cls, *arguments: object) -> Any:
        _require_none(arguments, HistoryBuffer)
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        is_dict = type(state) is dict and not vars(self)
        if not is_dict or set(state) - {"statistics_methods"} != _BUFFER_FIELDS:
            raise _refusal("a HistoryBuffer with other fields")
        log, count, length = state["_log_history"], state["_count_history"], state["max_length"]
        plain = type(length) is int and is_array(log) and is_array(count)
        if not plain or log.ndim != 1 or log.shape != count.shape:
            raise _refusal("a HistoryBuffer that does not contain numbers")
        self.max_length = length
        self._log_history = log.view(np.ndarray)
        self._count_history = count.view(np.ndarray)
        self.__class__ = HistoryBuffer
        # a run that resumes with a validation has built no buffer, and needs their statistics
        self._set_default_statistics()


class _SavedNamespace(argparse.Namespace):
    """Replacement of ``argparse.Namespace``; with its content, it becomes one.

    The MixMIM and MAE authors' scripts store one.
    """

    def __new__(cls, *arguments: object) -> Any:
        _require_none(arguments, argparse.Namespace)
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise _refusal("a Namespace that is not a dict of values by name")
        vars(self).update(state)
        self.__class__ = argparse.Namespace  # type: ignore[assignment]


_ALLOWED: list = [
    (_SavedNamespace, "argparse.Namespace"),
    (_SavedHistoryBuffer, f"{HistoryBuffer.__module__}.{HistoryBuffer.__qualname__}"),
    (_history_buffer_method, "builtins.getattr"),
    (_no_bytes, "builtins.bytes"),
    (_SavedArray, "numpy.ndarray"),
    (_SavedDtype, "numpy.dtype"),
    *(
        (replacement, f"numpy.{core}.multiarray.{name}")
        for name, replacement in (("_reconstruct", _new_array), ("scalar", _number))
        for core in ("core", "_core")  # NumPy 1 and 2
    ),
]


def is_unrestricted() -> bool:
    """Return whether the user disables PyTorch's restriction of unpickling in the environment."""
    return os.environ.get(_UNRESTRICTED) in _TRUE


@contextmanager
def plain_data_only() -> Iterator[None]:
    """Restrict ``torch.load`` to weights and plain data of training scripts, without code.

    Environment variables enforce this where MMEngine or PyTorch's download function pass
    ``weights_only=False``, and where the user sets ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD``.
    """
    before = {name: os.environ.pop(name, None) for name in (_RESTRICTED, _UNRESTRICTED)}
    os.environ[_RESTRICTED] = "1"
    try:
        with mmengine_types_allowed():
            yield
    finally:
        os.environ.pop(_RESTRICTED, None)
        os.environ.update({name: value for name, value in before.items() if value is not None})


@contextmanager
def mmengine_types_allowed() -> Iterator[None]:
    """Allow PyTorch to read the types in MMEngine's training checkpoints within the block.

    Other entries of the same names are removed meanwhile, because PyTorch's list is an unordered
    set, so that either entry may be used.
    """
    before = torch.serialization.get_safe_globals()
    ours = {name for _, name in _ALLOWED}
    replaced = [each for each in before if _name(each) in ours]
    _replace(replaced, _ALLOWED)
    try:
        yield
    finally:  # libraries that were imported in the block may have added entries, which are kept
        _replace([each for each in _ALLOWED if each not in before], replaced)


def _replace(removed: list, added: list) -> None:
    """Replace entries of PyTorch's list, which has no public function that removes some."""
    kept = [each for each in torch.serialization.get_safe_globals() if each not in removed]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([*kept, *added])


def is_array(value: Any) -> bool:
    """Return whether a value from a checkpoint is an array of numbers."""
    is_plain = type(value) in (np.ndarray, _SavedArray)
    return is_plain and bool(_NUMBER.fullmatch(value.dtype.str[1:]))


def _name(allowed: Any) -> str:
    is_named = isinstance(allowed, tuple)
    return allowed[1] if is_named else f"{allowed.__module__}.{allowed.__qualname__}"
