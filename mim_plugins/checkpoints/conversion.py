"""Conversion of checkpoints of other code bases to this package's names."""

from collections.abc import Mapping

from torch import Tensor

from ..wording import listed
from .layouts import BACKBONE, Layout, recognize
from .position_grid import reduced_grid, split_positions
from .tensor_check import find_wrong_kinds

_TOKEN, _POSITION = f"{BACKBONE}cls_token", f"{BACKBONE}pos_embed"


def convert(
    tensors: dict[str, Tensor], own: Mapping[str, Tensor] | None = None
) -> tuple[Layout, dict[str, Tensor]]:
    """Recognize a checkpoint's layout and return its tensors under our names.

    The position embedding of a [CLS] token, which may have been learned, is added to the token.

    Args:
        tensors: tensors of the file.
        own: tensors of the model or of its backbone, whose position embeddings have its grid;
            without them, grids are square.

    Raises:
        ValueError: the layout is not recognized, or a tensor is unknown, has a shape that does not
            occur in this layout, or is not a float, or the grid of a position embedding is not
            decided, see :func:`split_positions`.
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
            f"recognized as {layout.name}, but these tensors are unknown: {listed(unknown)}"
        )
    used = {name: tensor for name, tensor in tensors.items() if names[name] is not None}
    # before the arithmetic below, which would convert integers to floats
    wrong = find_wrong_kinds(used)
    if wrong:
        raise ValueError(f"recognized as {layout.name}, but it {wrong}")
    if layout.has_rows:
        used = _with_grids(used, names, own or {})
    converted: dict[str, Tensor] = {}
    for name, tensor in used.items():
        changed = layout.transform(name, tensor) if layout.transform else tensor
        converted[str(names[name])] = changed
    return layout, converted


def _with_grids(
    tensors: dict[str, Tensor], names: Mapping[str, str | None], own: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Arrange position embeddings on grids, and add that of a [CLS] token to the token."""
    changed = dict(tensors)
    token_name = next((name for name in tensors if names[name] == _TOKEN), None)
    grid: tuple[int, int] | None = None
    # the encoder first, because the grid of the decoder follows from it
    positions = [name for name in tensors if name.endswith("pos_embed")]
    for name in sorted(positions, key=lambda name: names[name] != _POSITION):
        rows, ours = tensors[name], str(names[name])
        expected = _grid_of(own.get(ours, own.get(ours.removeprefix(BACKBONE))))
        if ours == _POSITION and token_name:
            _check_token(tensors[token_name], rows)
        elif expected is None and grid and rows.ndim == 3:
            counts = (rows.shape[1], rows.shape[1] - 1) if token_name else (rows.shape[1],)
            expected = next(filter(None, (reduced_grid(grid, count) for count in counts)), None)
        found = split_positions(name, rows, token_name is not None, expected)
        changed[name] = found.grid
        if ours == _POSITION:
            grid = (found.grid.shape[1], found.grid.shape[2])
        if found.cls is None or not found.cls.any():
            continue
        if ours != _POSITION or not token_name:
            raise ValueError(f"{name} has a row for a [CLS] token that is not zero")
        changed[token_name] = tensors[token_name] + found.cls
    return changed


def _grid_of(position: Tensor | None) -> tuple[int, int] | None:
    is_grid = position is not None and position.ndim == 4
    return (position.shape[1], position.shape[2]) if position is not None and is_grid else None


def _check_token(token: Tensor, position: Tensor) -> None:
    if token.ndim != 3 or position.ndim != 3 or token.shape[2] != position.shape[2]:
        raise ValueError(
            f"cls_token and pos_embed have shapes {(*token.shape,)} and {(*position.shape,)};"
            " expected (1, 1, D) and (1, L, D)"
        )
