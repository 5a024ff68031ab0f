"""Python source of nested settings, for config files."""

import json
from typing import Any

_WIDTH = 88


class Expression(str):
    """Part of a config file that is an expression, not a string."""

    __slots__ = ()


def literal(value: Any, indent: int = 0) -> str:
    """Return the source of a value; dicts are calls of ``dict``, split at wide lines.

    Args:
        value: nested dicts of strings, numbers, lists and expressions.
        indent: columns before the line of the value.
    """
    if isinstance(value, str):
        is_source = isinstance(value, Expression)
        return str(value) if is_source else json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(each, indent) for each in value)}]"
    if not isinstance(value, dict):
        return repr(value)
    line = ", ".join(f"{key}={literal(each)}" for key, each in value.items())
    if indent + len(line) <= _WIDTH and "\n" not in line:
        return f"dict({line})"
    inner = " " * (indent + 4)
    entries = (f"{inner}{key}={literal(each, indent + 4)},\n" for key, each in value.items())
    return f"dict(\n{''.join(entries)}{' ' * indent})"
