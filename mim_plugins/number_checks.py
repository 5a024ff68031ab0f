"""Checks of numbers in arguments; bools are none."""

import math
import numbers

from .errors import ConfigError


def is_int(value: object) -> bool:
    """Return whether ``value`` is an integer of Python or NumPy."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_positive_int(value: object) -> bool:
    """Return whether ``value`` is a positive integer of Python."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite number."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]


def is_above_0(value: object) -> bool:
    """Return whether ``value`` is a finite number above 0."""
    return is_number(value) and value > 0  # type: ignore[operator]


def check_integer(owner: str, argument: str, value: object, least: int = 1) -> int:
    """Return ``value``.

    Args:
        owner: class with the argument, for messages.
        argument: name of the argument.
        value: its value.
        least: smallest value that is allowed.

    Raises:
        ConfigError: it is not an integer of at least ``least``.
    """
    if not is_int(value) or value < least:  # type: ignore[operator]
        raise ConfigError(f"{owner}: {argument}={value!r} must be an integer of at least {least}")
    return int(value)  # type: ignore[call-overload]


def check_above_0(owner: str, argument: str, value: object) -> None:
    """Check that ``value`` is a finite number above 0; see :func:`check_integer`.

    Raises:
        ConfigError: it is not.
    """
    if not is_above_0(value):
        raise ConfigError(f"{owner}: {argument}={value!r} must be a number above 0")


def check_not_negative(owner: str, argument: str, value: object) -> None:
    """Check that ``value`` is a finite number of at least 0; see :func:`check_integer`.

    Raises:
        ConfigError: it is not.
    """
    if not is_number(value) or value < 0:  # type: ignore[operator]
        raise ConfigError(f"{owner}: {argument}={value!r} must be a number of at least 0")


def check_share(owner: str, argument: str, value: object) -> None:
    """Check that ``value`` is a number above 0 and below 1; see :func:`check_integer`.

    Raises:
        ConfigError: it is not.
    """
    if not is_above_0(value) or value >= 1:  # type: ignore[operator]
        raise ConfigError(f"{owner}: {argument}={value!r} must be a number above 0 and below 1")
