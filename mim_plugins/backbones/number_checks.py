"""Kinds of numbers in arguments; bools are none."""

import math
import numbers


def is_int(value: object) -> bool:
    """Return whether ``value`` is an integer of Python or NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_positive_int(value: object) -> bool:
    """Return whether ``value`` is a positive integer of Python."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_above_0(value: object) -> bool:
    """Return whether ``value`` is a finite number above 0."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_number and 0 < float(value) < math.inf  # type: ignore[arg-type]
