"""Errors that a user can mend, as one line in place of a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..checkpoints import CheckpointError
from ..datasets import DataNotFoundError
from ..transforms import DamagedImageError
from .global_batch_error import GlobalBatchError
from .non_finite_loss_error import NonFiniteLossError

TRACEBACK_VARIABLE = "MIM_PLUGINS_TRACEBACK"
USER_ERRORS = (
    CheckpointError,
    DamagedImageError,
    DataNotFoundError,
    FileNotFoundError,
    GlobalBatchError,
    NonFiniteLossError,
    torch.cuda.OutOfMemoryError,
)


@contextmanager
def user_errors(traceback: bool = False) -> Iterator[None]:
    """End the program with one line if an error of :data:`USER_ERRORS` comes out of the block.

    ``traceback``, or 1 in the environment variable ``MIM_PLUGINS_TRACEBACK``, lets it pass with
    all that Python says of it.
    """
    try:
        yield
    except USER_ERRORS as error:
        if traceback or os.environ.get(TRACEBACK_VARIABLE) == "1":
            raise
        sys.exit(f"error: {_one_line(error)}")


def _one_line(error: BaseException) -> str:
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            "the GPU's memory is full: lower train_dataloader.batch_size, with --keep-global-batch"
            " so that an update sees as many images, or set model.backbone.with_cp=True"
        )
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"there is no file '{error.filename}'"
    text = error.summary if isinstance(error, DamagedImageError) else str(error)
    return " ".join(text.split())
