"""Ctrl-C as one line and an exit code; tools import this before PyTorch."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRACEBACK_VARIABLE = "MIM_PLUGINS_TRACEBACK"
INTERRUPTED_EXIT_CODE = 130  # as in shells: 128 plus the number of SIGINT


@contextmanager
def one_line_on_ctrl_c(traceback: bool = False) -> Iterator[None]:
    """End the program with one line and exit code 130 at Ctrl-C in the block or decorated function.

    The line contains the text of the KeyboardInterrupt, if it has one.

    Args:
        traceback: raise the KeyboardInterrupt, as does the environment variable
            ``MIM_PLUGINS_TRACEBACK=1``.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if wants_traceback(traceback):
            raise
        if os.environ.get("RANK", "0") == "0":
            print(": ".join(["interrupted by Ctrl-C", *map(str, interrupt.args)]), file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)


def wants_traceback(option: bool) -> bool:
    """Return whether tracebacks are requested by the option or the environment variable."""
    return option or os.environ.get(TRACEBACK_VARIABLE) == "1"
