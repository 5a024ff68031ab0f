"""Errors that a user can mend, as one line in place of a traceback."""

import os
import pickle
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ..apis import ConfigError
from ..checkpoints import CheckpointError
from ..datasets import DataNotFoundError
from ..transforms import DamagedImageError
from .global_batch_error import GlobalBatchError
from .non_finite_loss_error import NonFiniteLossError

_HEAD_START = 10.0  # seconds
TRACEBACK_VARIABLE = "MIM_PLUGINS_TRACEBACK"
USER_ERRORS = (
    CheckpointError,
    ConfigError,
    DamagedImageError,
    DataNotFoundError,
    FileNotFoundError,
    GlobalBatchError,
    NonFiniteLossError,
    pickle.UnpicklingError,  # of MMEngine, for load_from and init_cfg
    torch.cuda.OutOfMemoryError,
)

BUILD_ERRORS = (
    AssertionError,  # of mmpretrain, mmdet and mmseg
    AttributeError,
    ImportError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
)
"""What building a model, a data set or a hook raises if their config is wrong."""

_MISSING = re.compile(r"No module named '(mmcv\._ext|mmdet|mmseg)\b|mmdet is not installed")


@contextmanager
def user_errors(
    traceback: bool = False,
    also: tuple[type[Exception], ...] = (),
    until: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """End the program with one line if an error of :data:`USER_ERRORS` comes out of the block.

    Args:
        traceback: let the error pass with all that Python says of it, as 1 in the environment
            variable ``MIM_PLUGINS_TRACEBACK`` does.
        also: other errors that, in this block, come of what the user gave.
        until: they do so as long as this gives False.
    """
    kinds: tuple[type[BaseException], ...] = (*USER_ERRORS, *also)
    try:
        yield
    except kinds as error:
        is_known = isinstance(error, USER_ERRORS)
        if traceback or os.environ.get(TRACEBACK_VARIABLE) == "1" or (not is_known and until()):
            raise
        _let_the_first_process_speak()
        ours = is_known or type(error).__module__ != "builtins"
        more = "" if ours else f" ({TRACEBACK_VARIABLE}=1 shows where it comes from)"
        sys.exit(f"error: {_one_line(error)}{more}")


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
            " tools/convert_checkpoint.py, or ask its author for one made by"
            " torch.save(model.state_dict(), ...)"
        )
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no file '{error.filename}'"
    text = error.summary if isinstance(error, DamagedImageError) else str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    return " ".join(text.split()) + missing_packages_remedy(text)


def _let_the_first_process_speak() -> None:
    """Wait in a machine's other processes: most errors are all processes' own.

    The launcher ends them as soon as the first one has ended. If it goes on, theirs is another
    error, and is told.
    """
    if any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "SLURM_LOCALID")):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to be saved
        time.sleep(_HEAD_START)


def missing_packages_remedy(text: str) -> str:
    """What to add to an error of a detection or segmentation package that is missing, or ``""``."""
    if not _MISSING.search(text):
        return ""
    return (
        "; detection and segmentation need mmcv with compiled operators and then"
        " pip install 'mim_plugins[det,seg]', see docs/compatibility.md"
    )
