"""Checks of JSON that may come from anywhere.

A check of a value returns why the value is not allowed, or ``""``.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

LARGEST_NUMBER = 2**16
"""Largest number of pixels, channels or blocks, which bounds the memory of an encoder."""
_LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127
_LONGEST_LIST = 2**10
_LONGEST_TEXT = 2**10
_LONGEST_JSON = 2**20
_DEEPEST = 4
_LONGEST_QUOTE = 60
_HEX = frozenset("0123456789abcdef")

Check = Callable[[Any], str]


class WrongEntryError(Exception):
    """Error of an entry that is not allowed."""


def require(condition: bool, problem: str) -> None:
    """Raise :class:`WrongEntryError` with ``problem`` unless the condition is met."""
    if not condition:
        raise WrongEntryError(problem)


def read_json(text: str) -> Any:
    """Return the content of JSON without duplicate names and without NaN or infinity.

    Raises:
        WrongEntryError: it is not such JSON.
    """
    require(len(text) <= _LONGEST_JSON, f"{len(text)} characters are more than {_LONGEST_JSON}")
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise WrongEntryError(f"it is not JSON ({str(error)[:_LONGEST_QUOTE]})") from None


def check_entries(content: Any, schema: Mapping[str, Check], where: str = "") -> dict[str, Any]:
    """Return ``content`` if it has exactly the entries of ``schema``, each of them valid.

    Raises:
        WrongEntryError: it does not; ``where`` begins the names in the message.
    """
    require(type(content) is dict, f"{where or 'it'} is {type(content).__name__}, not an object")
    where = f"{where}." if where else ""
    for name in schema:
        require(name in content, f"{where}{name} is missing")
    for name in content:
        require(name in schema, f"{where}{quote(name)} is unknown")
    for name, check in schema.items():
        problem = check(content[name])
        require(not problem, f"{where}{name}: {problem}")
    return content


def integer(low: int, high: int = LARGEST_NUMBER) -> Check:
    """Return the check of an integer from ``low`` to ``high``."""
    allowed = f"an integer from {low} to {high}"
    return lambda value: "" if is_integer(value, low, high) else f"{quote(value)} is not {allowed}"


def one_of(*allowed: str) -> Check:
    """Return the check of a text that must be one of ``allowed``."""
    listed = ", ".join(allowed)
    return lambda value: "" if value in allowed else f"{quote(value)} is not one of {listed}"


def text_line(value: Any) -> str:
    """Check a text of one line."""
    is_text = type(value) is str and len(value) <= _LONGEST_TEXT
    return "" if is_text and value.isprintable() else f"{quote(value)} is not a line of text"


def digest(value: Any) -> str:
    """Check a SHA-256 digest, which may be empty."""
    is_digest = type(value) is str and len(value) in (0, 64) and not set(value) - _HEX
    return "" if is_digest else f"{quote(value)} is not a SHA-256 digest"


def height_and_width(value: Any) -> str:
    """Check a pair of sides in pixels."""
    is_size = type(value) is list and len(value) == 2 and all(is_integer(v, 1) for v in value)
    return "" if is_size else f"{quote(value)} is not [height, width] in pixels"


def numbers(value: Any) -> str:
    """Check a list of numbers within float32's range that is not empty."""
    is_list = type(value) is list and len(value) > 0 and is_json(value, _LARGEST_FLOAT32)
    if is_list and all(type(each) in (int, float) for each in value):
        return ""
    return f"{quote(value)} is not a list of 1 to {_LONGEST_LIST} numbers of float32"


def texts_by_name(value: Any) -> str:
    """Check an object of texts."""
    is_object = type(value) is dict and len(value) <= _LONGEST_LIST
    if is_object and not any(text_line(each) for pair in value.items() for each in pair):
        return ""
    return f"{quote(value)} is not an object of texts"


def is_json(value: Any, largest: float = sys.float_info.max, depth: int = 0) -> bool:
    """Return whether a value consists of numbers, texts, lists and objects of moderate size.

    Args:
        value: any object.
        largest: largest absolute value of a number.
        depth: number of lists and objects around the value.
    """
    if value is None or type(value) is bool:
        return True
    if type(value) in (int, float):
        return abs(value) <= largest  # False for NaN
    if type(value) is str:
        return len(value) <= _LONGEST_TEXT
    if type(value) not in (list, dict) or depth >= _DEEPEST or len(value) > _LONGEST_LIST:
        return False
    parts = value.values() if type(value) is dict else value
    return all(is_json(part, largest, depth + 1) for part in parts)


def is_integer(value: Any, low: int, high: int = LARGEST_NUMBER) -> bool:
    """Return whether a value is an integer from ``low`` to ``high``, not a bool."""
    return type(value) is int and low <= value <= high


def quote(value: Any) -> str:
    """Return a value for a message, in one short line."""
    text = ascii(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    require(len(content) == len(pairs), "an object has two entries of one name")
    return content


def _no_constant(name: str) -> None:
    raise WrongEntryError(f"it contains {name}, which is not a number")
