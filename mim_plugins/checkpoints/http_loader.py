"""Changes of MMEngine's loader: time limits of web servers, and types of training checkpoints."""

from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from .download import fetch
from .reading import read_tensors
from .safe_globals import mmengine_types_allowed, plain_data_only


@CheckpointLoader.register_scheme(prefixes=("http://", "https://", "(?i:https?)://"), force=True)
def load_from_http(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint from an address; MMEngine's own function may block forever.

    Importing this package installs it for ``load_from``, ``--resume`` and the ``Pretrained``
    initialization of any model, also for MMEngine's names of models on the web (``torchvision://``,
    ``open-mmlab://``, ``mmcls://``).

    Raises:
        CheckpointError: see :func:`fetch`; a file that is not a checkpoint is removed.
    """
    path = fetch(filename, read_tensors)
    with plain_data_only():
        return torch.load(path, map_location=map_location)


mmengine_checkpoint.load_from_http = load_from_http  # which its other loaders call
# any runner resumes checkpoints of MMEngine
_load = mmengine_types_allowed()(CheckpointLoader.load_checkpoint)
CheckpointLoader.load_checkpoint = staticmethod(_load)  # type: ignore[method-assign]
