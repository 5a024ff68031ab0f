"""Extraction of the weights from the content of a checkpoint."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import CheckpointError
from .plain_data import (
    DICTS,
    SIMPLE,
    TENSORS,
    check_plain,
    check_tensor,
    expect,
    inside,
    is_plain,
)
from .tensor_check import require_plain

# keys under which training scripts store the weights, most specific first
_WEIGHT_KEYS = ("state_dict", "model", "module")
_REMEDY = "give a file that torch.save(model.state_dict(), ...) or a training run wrote"


def extract_weights(content: object, source: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of ``state_dict``, ``model``, ``module`` or the checkpoint itself.

    Raises:
        CheckpointError: the weights are not a dict of named tensors, or are missing.
    """
    try:
        tensors = _take(content)
    except CheckpointError as error:
        raise CheckpointError(f"'{source}' cannot be loaded: {error}; {_REMEDY}") from None
    if not tensors:
        raise CheckpointError(
            f"'{source}' contains no weights: neither its entries nor those under"
            f" {', '.join(_WEIGHT_KEYS)} are tensors; give the checkpoint of a model"
        )
    require_plain(tensors, source)
    return tensors


def sanitize_checkpoint(content: object, source: str | Path) -> None:
    """Check the weights of a checkpoint for MMEngine, and remove unsafe entries in place.

    Args:
        content: content of the file; apart from the weights, all but plain data is removed.
        source: the file, for the message.

    Raises:
        CheckpointError: the weights are not a dict of named tensors.
    """
    try:
        _sanitize(content)
    except CheckpointError as error:
        raise CheckpointError(f"'{source}' cannot be loaded: {error}; {_REMEDY}") from None


def check_weights(weights: Any, where: str) -> None:
    """Check that ``weights`` at ``where`` is a state dict of PyTorch, a dict of named tensors.

    Raises:
        CheckpointError: it is not.
    """
    expect(weights, where, *DICTS)
    for name, tensor in weights.items():
        expect(name, f"a name in {where}", str)
        check_tensor(tensor, inside(where, name))
    for name, versions in getattr(weights, "__dict__", {}).items():
        if name != "_metadata":
            raise CheckpointError(
                f"{inside(where, name)} is an attribute that state dicts do not have"
            )
        expect(versions, f"{where}._metadata", *DICTS)
        for module, version in versions.items():
            expect(version, inside(f"{where}._metadata", module), *DICTS)
        check_plain(versions, f"{where}._metadata")


def _sanitize(content: Any) -> None:
    expect(content, "the file", *DICTS)
    sections = [key for key in ("state_dict", "ema_state_dict") if key in content]
    for weights in [content[key] for key in sections] or [content]:
        for name, value in weights.items() if type(weights) in DICTS else ():
            if type(value) in TENSORS and vars(value):
                weights[name] = Tensor.detach(value)  # without attributes that the file may set
    for key in sections:
        check_weights(content[key], key)
    for key, value in content.items():
        if isinstance(value, Tensor):
            check_weights({key: value}, "the file")
    for key in [key for key, value in content.items() if not is_plain({key: value})]:
        del content[key]


def _take(content: Any) -> dict[str, Tensor]:
    expect(content, "the file", *DICTS)
    section = "the file"
    for key in _WEIGHT_KEYS:
        value = content.get(key)
        # "model" may also be the model's name, or the name of a weight
        if type(value) not in (*SIMPLE, *TENSORS):
            expect(value, key, *DICTS)
            content, section = value, key
            break
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if section == "the file" and not isinstance(value, Tensor):
            continue  # other data of a training script
        expect(name, f"a name in {section}", str)
        if not isinstance(value, Tensor):
            expect(value, inside(section, name), *TENSORS)
        short = name.removeprefix("module.")
        if short in tensors:
            raise CheckpointError(f"two tensors are named {short}, with and without 'module.'")
        tensors[short] = Tensor.detach(value) if type(value) in TENSORS else value
    return tensors
