"""Handling of signals in a part of a program; tools import this before PyTorch."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIG_IGN, SIGINT, SIGTERM, Handlers, Signals, signal
from typing import Any, NoReturn


@contextmanager
def exit_at_sigterm() -> Iterator[None]:
    """Raise SystemExit with code 143 at SIGTERM in the block, so that it can clean up."""
    with _handled(_exit, SIGTERM):
        yield


@contextmanager
def without_interruptions() -> Iterator[None]:
    """Ignore SIGTERM and Ctrl-C in a short block that must complete."""
    with _handled(SIG_IGN, SIGINT, SIGTERM):
        yield


def _exit(number: int, _: Any) -> NoReturn:
    sys.exit(128 + number)


@contextmanager
def _handled(action: Callable[[int, Any], Any] | Handlers, *numbers: Signals) -> Iterator[None]:
    previous = {number: signal(number, action) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            if handler is not None:  # otherwise it was not set by Python
                signal(number, handler)
