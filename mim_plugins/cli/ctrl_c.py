"""Ctrl-C and a closed output as exit codes; tools import this before PyTorch."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from select import poll

TRACEBACK_VARIABLE = "MIM_PLUGINS_TRACEBACK"
INTERRUPTED_EXIT_CODE = 130  # as in shells: 128 plus the number of SIGINT
CLOSED_OUTPUT_EXIT_CODE = 141  # 128 plus the number of SIGPIPE


@contextmanager
def one_line_on_ctrl_c(traceback: bool = False) -> Iterator[None]:
    """End the program with one line and exit code 130 at Ctrl-C in the block or decorated function.

    The line contains the text of the KeyboardInterrupt, if it has one. If the reader of the
    standard output has ended, such as ``head``, the program ends at its next output, with exit code
    141 and without a message.

    Args:
        traceback: raise the KeyboardInterrupt, as does the environment variable
            ``MIM_PLUGINS_TRACEBACK=1``.
    """
    try:
        yield
        _flush_output()
    except BrokenPipeError as error:
        if not is_closed_output(error):
            raise
        _discard_unread_output()
        sys.exit(CLOSED_OUTPUT_EXIT_CODE)
    except SystemExit:
        _discard_unread_output()
        raise
    except KeyboardInterrupt as interrupt:
        if wants_traceback(traceback):
            raise
        if os.environ.get("RANK", "0") == "0":
            print(": ".join(["interrupted by Ctrl-C", *map(str, interrupt.args)]), file=sys.stderr)
        _discard_unread_output()
        sys.exit(INTERRUPTED_EXIT_CODE)


def is_closed_output(error: BaseException) -> bool:
    """Return whether an error means that the reader of the standard output has ended."""
    return isinstance(error, BrokenPipeError) and _output_has_no_reader()


def _output_has_no_reader() -> bool:
    try:
        poller = poll()
        poller.register(sys.stdout.fileno(), 0)  # only errors of the file itself
    except (AttributeError, OSError, ValueError):  # no file, as in notebooks
        return False
    return bool(poller.poll(0))


def _discard_unread_output() -> None:
    """Discard the rest of an output without a reader, which Python would write at exit."""
    if _output_has_no_reader():
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, sys.stdout.fileno())
        os.close(null_device)


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (AttributeError, OSError, ValueError):
        return  # a full disk, which Python reports at exit, or no file


def wants_traceback(option: bool) -> bool:
    """Return whether tracebacks are requested by the option or the environment variable."""
    return option or os.environ.get(TRACEBACK_VARIABLE) == "1"
