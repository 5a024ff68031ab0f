"""Names of the classes on which a model was trained, read from its checkpoint."""

from pathlib import Path
from typing import Any

import torch

from .safe_globals import plain_data_only


def trained_classes(path: str | Path) -> tuple[str, ...] | None:
    """Return the classes of the training set in the order of their labels.

    The result is None if the file contains none or cannot be read; loading its weights reports the
    reason.
    """
    return classes_in(read_plain(path))


def read_plain(path: str | Path) -> Any:
    """Return the contents of a checkpoint without executing code, None if it cannot be read."""
    try:
        with plain_data_only():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # corrupt bytes raise exceptions of any kind
        return None


def classes_in(checkpoint: Any) -> tuple[str, ...] | None:
    """Return the classes that MMEngine stores in ``meta`` of its checkpoints, None without them."""
    for key in ("meta", "dataset_meta", "classes"):
        checkpoint = checkpoint.get(key) if type(checkpoint) is dict else None
    if type(checkpoint) not in (tuple, list) or not all(type(name) is str for name in checkpoint):
        return None
    return tuple(checkpoint)
