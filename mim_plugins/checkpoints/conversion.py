"""Conversion of checkpoints of other code bases to this package's names."""

import torch
from torch import Tensor

from .layouts import Layout, recognize
from .tensor_check import find_wrong_kinds


def convert(tensors: dict[str, Tensor]) -> tuple[Layout, dict[str, Tensor]]:
    """Recognize a checkpoint's layout and return its tensors under our names.

    Raises:
        ValueError: the layout is not recognized, or a tensor is unknown, has a shape that does not
            occur in this layout, or is not a float.
    """
    layout = recognize(set(tensors))
    names = {}
    unknown = []
    for name in tensors:
        try:
            names[name] = layout.rename(name)
        except KeyError:
            unknown.append(name)
    if unknown:
        raise ValueError(
            f"recognized as {layout.name}, but these tensors are unknown: {', '.join(unknown)}"
        )
    used = {name: tensor for name, tensor in tensors.items() if names[name] is not None}
    # before the arithmetic below, which would convert integers to floats
    wrong = find_wrong_kinds(used)
    if wrong:
        raise ValueError(f"recognized as {layout.name}, but it {wrong}")
    converted: dict[str, Tensor] = {}
    for name, tensor in _fold_cls_position(used).items():
        changed = layout.transform(name, tensor) if layout.transform else tensor
        converted[str(names[name])] = changed
    return layout, converted


def _fold_cls_position(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the position embedding of a [CLS] token, which may have been learned, to the token."""
    folded = dict(tensors)
    for prefix in ("", "backbone."):
        token, position = tensors.get(f"{prefix}cls_token"), tensors.get(f"{prefix}pos_embed")
        if token is None or position is None:
            continue
        if token.ndim != 3 or position.ndim != 3 or token.shape[2] != position.shape[2]:
            raise ValueError(
                f"cls_token and pos_embed have shapes {(*token.shape,)} and {(*position.shape,)};"
                " expected (1, 1, D) and (1, L, D)"
            )
        if position[:, :1].any():
            folded[f"{prefix}cls_token"] = token + position[:, :1]
            folded[f"{prefix}pos_embed"] = torch.cat(
                [torch.zeros_like(position[:, :1]), position[:, 1:]], dim=1
            )
    return folded
