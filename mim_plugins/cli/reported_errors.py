"""Errors that a user can fix, reported in one line instead of a traceback."""

import pickle
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ..engine.guards import GuardedStream
from ..engine.guards.failure_report import report_failure
from ..errors import UserError
from .ctrl_c import TRACEBACK_VARIABLE, is_closed_output, one_line_on_ctrl_c, wants_traceback
from .process_errors import exit_status, is_consequence, process_count

USER_ERRORS = (
    UserError,
    FileNotFoundError,
    pickle.UnpicklingError,  # raised by MMEngine for load_from and init_cfg
    torch.cuda.OutOfMemoryError,
)
# other errors of the operating system, such as those of a network disk, may be temporary
_LASTING = (*USER_ERRORS, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)

_MISSING = re.compile(r"No module named '(mmcv\._ext|mmdet|mmseg)\b|mmdet is not installed")
# a class that derives from a placeholder of a missing class; the latter is of a removed name
_BROKEN_ZOO = re.compile(
    r"NoneType takes no arguments|cannot import name '\w+' from 'transformers\b"
)


class _Reported(SystemExit):
    """End of the program after an error that has been reported."""


@contextmanager
def user_errors(
    traceback: bool = False,
    also: tuple[type[Exception], ...] = (),
    until: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """End the program with a one-line message if the block raises an error of :data:`USER_ERRORS`.

    In a run of several processes, this applies to any error and to ``sys.exit`` with a text; the
    line contains the path of a file with the traceback (see :func:`exit_status`). Ctrl-C also ends
    in one line, with exit code 130.

    Args:
        traceback: raise the error with its traceback, as does the environment variable
            ``MIM_PLUGINS_TRACEBACK=1``.
        also: further exception types that mean bad user input.
        until: condition after which ``also`` no longer applies, such as the start of training.
    """
    kinds: tuple[type[BaseException], ...] = (*USER_ERRORS, *also)
    try:
        yield
    except KeyboardInterrupt:
        with one_line_on_ctrl_c(traceback):
            raise
    except (GeneratorExit, _Reported):
        raise
    except SystemExit as error:
        if isinstance(error.code, str):  # a deliberate end, which a restart would repeat
            report_failure(_one_line(error), can_restart=False)
        if not isinstance(error.code, str) or process_count() == 1 or wants_traceback(traceback):
            raise
        raise _Reported(exit_status(error.code, error)) from None
    except BaseException as error:
        if is_closed_output(error) and not isinstance(sys.stdout, GuardedStream):
            raise
        is_known = isinstance(error, USER_ERRORS)
        is_users = is_known or (isinstance(error, kinds) and not until())
        can_restart = not is_users or _may_be_temporary(error)
        text = f"{type(error).__name__}: {_one_line(error)}"
        report_failure(text, can_restart, is_consequence(error))
        if wants_traceback(traceback):
            raise
        several = process_count() > 1
        if is_users:
            ours = is_known or type(error).__module__ != "builtins"
            more = "" if ours else f" ({TRACEBACK_VARIABLE}=1 shows the traceback)"
            line = f"error: {_one_line(error)}{more}"
        elif several:  # tracebacks of several processes would be interleaved
            text = _one_line(error).removeprefix(f"{type(error).__name__}: ")
            line = f"error: {type(error).__name__}: {text}"
        else:
            raise
        raise _Reported(exit_status(line, error) if several else line) from None


def _may_be_temporary(error: BaseException) -> bool:
    return isinstance(error, OSError) and not isinstance(error, _LASTING)


def _one_line(error: BaseException) -> str:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "the GPU memory is full: lower train_dataloader.batch_size, with --keep-global-batch to"
            " keep the number of images per update, or set model.backbone.with_cp=True"
        )
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"GLOBAL (\S+)", str(error))
        return (
            f"a checkpoint contains more than weights{f' ({found[1]})' if found else ''}. Such"
            " objects can execute code, so the file was not loaded; get a file with weights only,"
            " such as one written by torch.save(model.state_dict(), ...)"
        )
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no file '{error.filename}'"
    text = error.summary if isinstance(error, UserError) else str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    # a single word does not describe the error
    if len(text.split()) < 2 and not isinstance(error, USER_ERRORS):
        text = f"{type(error).__name__}: {text.strip() or 'no message'}"
    return " ".join(text.split()) + missing_packages_hint(text)


def missing_packages_hint(text: str) -> str:
    """Return a hint for errors of a missing or incompatible package, or ``""``."""
    if _BROKEN_ZOO.search(text):
        return (
            "; importing mmpretrain's models failed, often because transformers is too new:"
            " pip install 'transformers<5'. Pre-training does not need them: set"
            " default_scope='mim_plugins' and write type='mmpretrain.NAME' for mmpretrain's"
            " transforms"
        )
    if not _MISSING.search(text):
        return ""
    return (
        "; detection and segmentation need mmcv with compiled operators and then"
        " pip install 'mim_plugins[det,seg]', see docs/compatibility.md"
    )
