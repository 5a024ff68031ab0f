"""Comparison of a value's kind with the value that it replaces, or with an annotation."""

import inspect
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from numbers import Number
from pathlib import PurePath
from typing import Any

UNKNOWN = inspect.Parameter.empty
_ANYTHING = "anything"
_OBJECT = "an object"  # written in configs as the dict that builds it, or by name
_NUMBERS = {"an integer", "a number"}


def kind_mismatch(value: Any, old: Any = UNKNOWN, annotation: Any = UNKNOWN) -> str | None:
    """Return the kinds that are expected instead of ``value``, or None if it is accepted.

    None is always accepted, and so is a value of the kind of ``old`` or of the annotation. Without
    an informative annotation, kinds that often replace the old one are accepted too: a list may
    replace a number, for example, but a text may not.

    Args:
        value: the new value.
        old: the value that it replaces, if any.
        annotation: annotation of the argument, if any.
    """
    kind = _kind(value)
    known = old is not UNKNOWN and old is not None
    if value is None or (known and kind == _kind(old)):
        return None
    allowed = set(_kinds(annotation))
    if _ANYTHING in allowed or allowed <= {_OBJECT, "None"}:
        allowed = _usual(old) if known else {_ANYTHING}
    elif known and isinstance(old, str):
        allowed = {_ANYTHING}  # a number may replace loss_scale="dynamic", for example
    if _ANYTHING in allowed or kind in allowed or _converts(value, allowed):
        return None
    return " or ".join(sorted(allowed - {_OBJECT, "None"}))


def _converts(value: Any, allowed: set[str]) -> bool:
    """Return whether a number can be used as another kind: 1 as True, 1e5 as an integer."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return "a number" in allowed or ("True or False" in allowed and value in (0, 1))
    return isinstance(value, float) and "an integer" in allowed and value.is_integer()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "True or False"
    kinds = {
        int: "an integer", float: "a number", str: "text", PurePath: "text", list: "a list",
        tuple: "a list", set: "a list", dict: "a dict",
    }  # fmt: skip
    return next((name for base, name in kinds.items() if isinstance(value, base)), _ANYTHING)


def _usual(old: Any) -> set[str]:
    """Return the kinds that often replace ``old`` in configs."""
    kind = _kind(old)
    if kind in _NUMBERS:
        return _NUMBERS | {"a list"}
    if kind == "a list":
        return {"a list", *_NUMBERS} | ({"text"} if all(isinstance(e, str) for e in old) else set())
    if kind == "a dict":
        # a text may replace a dict, such as arch="base", but no dict with a type
        return {"a dict", "a list"} | (set() if "type" in old else {"text"})
    return {kind} if kind == "True or False" else {_ANYTHING}


def _kinds(annotation: Any) -> Iterator[str]:
    """Yield the kinds that an annotation allows."""
    if annotation is None or annotation is type(None):
        yield "None"
        return
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _kinds(part)
        return
    if origin is typing.Literal:
        yield from (_kind(value) for value in typing.get_args(annotation))
        return
    base = origin or annotation
    if not isinstance(base, type) or base in (object, UNKNOWN):
        yield _ANYTHING
    elif base is bool:
        yield "True or False"
    elif issubclass(base, int):
        yield "an integer"
    elif issubclass(base, float):
        yield "a number"
    elif issubclass(base, (str, PurePath)):
        yield _ANYTHING  # MMEngine's loss_scale: str may also be a number, for example
    elif issubclass(base, Number):  # abstract
        yield from _NUMBERS
    elif issubclass(base, Mapping):
        yield "a dict"
    elif issubclass(base, Collection) or base is Iterable:
        yield "a list"
    else:
        yield _OBJECT
