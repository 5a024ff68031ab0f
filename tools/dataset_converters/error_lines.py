"""Unexpected errors in one line; tools import this before PyTorch."""

import traceback

from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE, wants_traceback
from mim_plugins.errors import UserError


def describe(error: Exception) -> str:
    """Return one line; print the traceback of an unexpected error on request."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    if wants_traceback(False):
        traceback.print_exception(error)
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    return f"{text} ({TRACEBACK_VARIABLE}=1 shows the traceback)"
