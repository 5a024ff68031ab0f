"""Values of a config that must be one of a few names or lie in a range."""

import difflib
from collections.abc import Collection
from typing import Any

from mmengine.runner.priority import Priority

from .schema import Path

_LEVELS = ("NOTSET", "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL")
_PRIORITIES = tuple(each.name for each in Priority)
_LARGEST_PRIORITY = max(each.value for each in Priority)
_LARGEST_SEED = 2**32 - 1  # NumPy's


def choice_problem(path: Path, name: str, value: Any) -> str | None:
    """Return an error text if ``value`` is not among those that MMEngine accepts, or None.

    MMEngine would raise an error that lists no alternatives. Names that other classes read, such as
    those of interpolations and statistics, are not checked, because packages add more.

    Args:
        path: keys that lead to the dict of the config.
        name: key in that dict.
        value: its value.
    """
    full = f"'{'.'.join((*path, name))}'"
    if not path and name == "log_level":
        return None if isinstance(value, int) else _not_among(full, value, _LEVELS)
    if name == "priority" and len(path) == 2 and path[0] in ("custom_hooks", "default_hooks"):
        return _priority_problem(full, value)
    is_seed = path == ("randomness",) and name == "seed"
    if is_seed and value is not None and not (type(value) is int and 0 <= value <= _LARGEST_SEED):
        return f"{full}: {value!r} is not an integer from 0 to {_LARGEST_SEED}, or None"
    return None


def _priority_problem(full: str, value: Any) -> str | None:
    if isinstance(value, Priority):
        return None
    if isinstance(value, int):
        if 0 <= value <= _LARGEST_PRIORITY:
            return None
        return f"{full}: {value} is not in 0 to {_LARGEST_PRIORITY} (0 runs first)"
    return _not_among(full, value.upper() if isinstance(value, str) else value, _PRIORITIES)


def _not_among(full: str, value: Any, allowed: Collection[str]) -> str | None:
    if value in allowed:
        return None
    near = difflib.get_close_matches(str(value).upper(), [each.upper() for each in allowed], n=1)
    match = next((each for each in allowed if near and each.upper() == near[0]), None)
    hint = f"; did you mean {match}?" if match else ""
    return f"{full}: {value!r} is not one of {', '.join(allowed)}{hint}"
