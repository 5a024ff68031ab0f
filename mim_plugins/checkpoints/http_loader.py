"""Loader for ``http(s)://`` checkpoints that replaces MMEngine's and has a time limit."""

from typing import Any

import torch
from mmengine.runner import CheckpointLoader

from .download import fetch
from .reading import read_tensors


@CheckpointLoader.register_scheme(prefixes=("http://", "https://"), force=True)
def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint from an address; MMEngine's own function may block forever.

    Importing this package installs it for ``load_from``, ``--resume`` and the ``Pretrained``
    initialization of any model.

    Raises:
        CheckpointError: see :func:`fetch`; a file that is not a checkpoint is removed.
    """
    return torch.load(fetch(filename, read_tensors), map_location=map_location)
