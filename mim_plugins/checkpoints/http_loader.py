"""Loader for checkpoints on web servers that replaces MMEngine's and has a time limit."""

from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from .download import fetch
from .reading import read_tensors


@CheckpointLoader.register_scheme(prefixes=("http://", "https://", "(?i:https?)://"), force=True)
def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint from an address; MMEngine's own function may block forever.

    Importing this package installs it for ``load_from``, ``--resume`` and the ``Pretrained``
    initialization of any model, also for MMEngine's names of models on the web (``torchvision://``,
    ``open-mmlab://``, ``mmcls://``).

    Raises:
        CheckpointError: see :func:`fetch`; a file that is not a checkpoint is removed.
    """
    return torch.load(fetch(filename, read_tensors), map_location=map_location)


mmengine_checkpoint.load_from_http = load_from_http  # which its other loaders call
