"""MMEngine's scheme for checkpoints by address, with a time limit."""

from typing import Any

import torch
from mmengine.runner import CheckpointLoader

from .download import fetch
from .reading import read_tensors


@CheckpointLoader.register_scheme(prefixes=("http://", "https://"), force=True)
def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint from an address, in place of MMEngine's function, which may wait forever.

    It is in force wherever this package is imported: for ``load_from``, ``--resume`` and the
    ``Pretrained`` initialization of any model.

    Raises:
        CheckpointError: see :func:`fetch`; nothing is kept of what is no checkpoint.
    """
    return torch.load(fetch(filename, read_tensors), map_location=map_location)
