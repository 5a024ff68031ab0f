"""Errors that a user can mend, as one line in place of a traceback."""

import os
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ..errors import CorruptImageError, UserError
from .process_errors import exit_with, process_count

TRACEBACK_VARIABLE = "MIM_PLUGINS_TRACEBACK"
INTERRUPTED_EXIT_CODE = 130  # as shells have it: 128 and the number of SIGINT
USER_ERRORS = (
    UserError,
    FileNotFoundError,
    pickle.UnpicklingError,  # of MMEngine, for load_from and init_cfg
    torch.cuda.OutOfMemoryError,
)

_MISSING = re.compile(r"No module named '(mmcv\._ext|mmdet|mmseg)\b|mmdet is not installed")


@contextmanager
def user_errors(
    traceback: bool = False,
    also: tuple[type[Exception], ...] = (),
    until: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """End the program with one line if an error of :data:`USER_ERRORS` comes out of the block.

    In a run of several processes any error does, and its traceback is in a file that the line names
    (see :func:`exit_with`). Ctrl-C is one line as well, and exit code 130.

    Args:
        traceback: let the error pass with all that Python says of it, as 1 in the environment
            variable ``MIM_PLUGINS_TRACEBACK`` does.
        also: other errors that, in this block, come of what the user gave.
        until: they do so as long as this gives False.
    """
    kinds: tuple[type[BaseException], ...] = (*USER_ERRORS, *also)
    try:
        yield
    except KeyboardInterrupt:
        if wants_traceback(traceback):
            raise
        if os.environ.get("RANK", "0") == "0":
            print("interrupted by Ctrl-C", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)
    except Exception as error:
        if wants_traceback(traceback):
            raise
        is_known = isinstance(error, USER_ERRORS)
        several = process_count() > 1
        if is_known or (isinstance(error, kinds) and not until()):
            ours = is_known or type(error).__module__ != "builtins"
            more = "" if ours else f" ({TRACEBACK_VARIABLE}=1 shows where it comes from)"
            line = f"error: {_one_line(error)}{more}"
        elif several:  # their tracebacks would cover each other
            text = _one_line(error).removeprefix(f"{type(error).__name__}: ")
            line = f"error: {type(error).__name__}: {text}"
        else:
            raise
        sys.exit(exit_with(line, error) if several else line)


def wants_traceback(option: bool) -> bool:
    """Whether the user wants tracebacks, by the tool's option or the environment variable."""
    return option or os.environ.get(TRACEBACK_VARIABLE) == "1"


def _one_line(error: BaseException) -> str:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "the GPU's memory is full: lower train_dataloader.batch_size, with --keep-global-batch"
            " so that an update sees as many images, or set model.backbone.with_cp=True"
        )
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"GLOBAL (\S+)", str(error))
        return (
            f"a checkpoint holds more than weights{f' ({found[1]})' if found else ''}: such objects"
            " can run code, so nothing of it was loaded; convert the file with"
            " tools/model_converters/convert_checkpoint.py, or ask its author for one made by"
            " torch.save(model.state_dict(), ...)"
        )
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no file '{error.filename}'"
    text = error.summary if isinstance(error, CorruptImageError) else str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    if len(text.split()) < 2 and not isinstance(
        error, USER_ERRORS
    ):  # a name alone does not state what is wrong with it
        text = f"{type(error).__name__}: {text.strip() or 'no message'}"
    return " ".join(text.split()) + missing_packages_remedy(text)


def missing_packages_remedy(text: str) -> str:
    """What to add to an error of a detection or segmentation package that is missing, or ``""``."""
    if not _MISSING.search(text):
        return ""
    return (
        "; detection and segmentation need mmcv with compiled operators and then"
        " pip install 'mim_plugins[det,seg]', see docs/compatibility.md"
    )
