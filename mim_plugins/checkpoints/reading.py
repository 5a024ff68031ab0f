"""Reading checkpoints that other people wrote, without running code from them."""

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# where training scripts keep the weights inside a checkpoint, most specific first
_WEIGHT_KEYS = ("state_dict", "model", "module")


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The named tensors of a ``.pth``, ``.safetensors`` or reference ``.npz`` file.

    A ``.pth`` may be a bare state dict or hold one under ``state_dict``, ``model`` or ``module``;
    besides tensors, only plain data, NumPy arrays and ``argparse.Namespace`` (which the MixMIM and
    MAE authors' scripts store) are read. In an ``.npz``, names begin with ``param/``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, holds code, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint '{path}'")
    if path.suffix == ".npz":
        return read_reference(path)["param"]
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"'{path}' cannot be read as a checkpoint: it is damaged, or holds more than weights"
            f" ({reason})"
        ) from error
    return _find_weights(content, path)


def read_reference(path: str | Path) -> dict[str, Any]:
    """A reference file: a dict of tensors, ``group/name`` keys gathered in nested dicts.

    Raises:
        ValueError: the file is damaged or has no ``param/`` entries.
    """
    content: dict[str, Any] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for key in file.files:
                group, _, name = key.partition("/")
                value = file[key]
                if name:
                    content.setdefault(group, {})[name] = torch.from_numpy(value)
                else:
                    is_text = value.dtype.kind == "U"
                    content[key] = str(value) if is_text else torch.from_numpy(np.asarray(value))
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"'{path}' cannot be read as an .npz file ({error})") from error
    if "param" not in content:
        raise ValueError(f"'{path}' has no entries named param/..., so it holds no weights")
    return content


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ValueError(f"reading '{path}' needs the package safetensors") from error
    return load_file(path)


def _find_weights(content: object, path: Path) -> dict[str, Tensor]:
    for key in _WEIGHT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in (content.items() if isinstance(content, dict) else ())
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise ValueError(
            f"'{path}' holds no weights: none of its entries, nor of those under"
            f" {', '.join(_WEIGHT_KEYS)}, is a tensor"
        )
    return tensors
