"""Reading of NumPy files with weights and outputs of a reference implementation."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError


def read_reference(path: str | Path) -> dict[str, Any]:
    """Read a reference file into a dict of tensors; ``group/name`` keys become nested dicts.

    Raises:
        CheckpointError: the file is corrupt or has no ``param/`` entries.
    """
    content: dict[str, Any] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                group, _, name = key.partition("/")
                value = _tensor_or_text(file[key], key, path)
                if name:
                    content.setdefault(group, {})[name] = value
                else:
                    content[key] = value
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file '{path}': correct the path") from error
    except Exception as error:  # corrupt bytes and absurd sizes raise errors of any type
        raise CheckpointError(
            f"'{path}' is corrupt or not an .npz file ({type(error).__name__}); download or copy"
            " it again, or give another one"
        ) from error
    weights = content.get("param")
    if not isinstance(weights, dict):
        raise CheckpointError(f"'{path}' has no entries named param/..., so it contains no weights")
    texts = [name for name, value in weights.items() if not isinstance(value, Tensor)]
    if texts:
        raise CheckpointError(f"'{path}' contains text instead of a weight at param/{texts[0]}")
    return content


def _tensor_or_text(value: np.ndarray, key: str, path: str | Path) -> Tensor | str:
    if value.dtype.kind == "U" and value.ndim == 0:
        return str(value)
    try:
        # files of other machines may have the other byte order
        return torch.from_numpy(np.asarray(value, value.dtype.newbyteorder("=")))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"'{path}' contains '{key}' of NumPy's type {value.dtype}, which PyTorch does not"
            " have; store it as float32"
        ) from error
