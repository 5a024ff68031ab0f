"""Comparison of a file's tensors with a module's, and all-or-nothing loading."""

from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor, nn

from ..errors import CheckpointError
from ..wording import listed
from .selection import describe_blocks
from .tensor_check import require_weights

# tensors that modules resize when they are loaded, by the last part of their names
_RESIZED = ("pos_embed", "relative_position_bias_table")
_NAMES_LISTED, _SHAPES_LISTED, _REASONS_LISTED = 12, 4, 8


def load_strictly(
    module: nn.Module, given: dict[str, Tensor], source: str | Path, allow_missing: bool = False
) -> None:
    """Load ``given`` into a module. An error leaves the module unchanged.

    Args:
        module: any module.
        given: tensors of a file under the module's names.
        source: the file, for messages.
        allow_missing: accept that ``given`` lacks tensors of the module.

    Raises:
        CheckpointError: the tensors do not fit, are not floats that the module's types can hold,
            or are not finite.
    """
    own = module.state_dict()
    require_weights(given, source, own)
    same = all(name in own and tensor.shape == own[name].shape for name, tensor in given.items())
    before = {} if same else {name: tensor.clone() for name, tensor in own.items()}
    try:
        module.load_state_dict(given, strict=not allow_missing)
    except (RuntimeError, ValueError) as error:
        if before:
            module.load_state_dict(before)
        lines = [line.strip() for line in str(error).splitlines()]
        # PyTorch's first line only states that there are errors
        reason = "; ".join(lines[1 : _REASONS_LISTED + 1] or lines)
        raise CheckpointError(
            f"'{source}' does not fit {type(module).__name__}: {reason}; give another checkpoint"
        ) from error


def describe_mismatch(
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    allow_missing: Collection[str] = (),
    allow_resize: bool = True,
) -> str:
    """Describe how the names and shapes of a file's tensors differ from a module's.

    Args:
        own: the module's state dict.
        given: the file's tensors.
        allow_missing: names that the file may lack.
        allow_resize: accept other sizes of the tensors that modules resize when they are loaded.

    Returns:
        A list of the differences for an error message; empty if there are none.
    """
    shapes = [
        f"{name} {_sides(given[name])} in the file, {_sides(own[name])} in the model"
        for name in sorted(set(own) & set(given))
        if not _fits(name, given[name], own[name], allow_resize)
    ]
    names = compare_names(own, given, allow_missing)
    found = [*names, *_counted(shapes, "of another shape", _SHAPES_LISTED)]
    if found:
        theirs, ours = (
            describe_blocks({name: tuple(t.shape) for name, t in tensors.items()})
            for tensors in (given, own)
        )
        if theirs != ours and theirs:
            found.insert(0, f"the file contains {theirs}, the model {ours}")
    return "; ".join(found)


def compare_names(
    own: Collection[str], given: Collection[str], allow_missing: Collection[str] = ()
) -> list[str]:
    """Return one text on names that ``given`` lacks and one on names that ``own`` lacks, if any."""
    missing = sorted(set(own) - set(given) - set(allow_missing))
    unexpected = sorted(set(given) - set(own))
    return [
        *_counted(missing, "missing in the file", _NAMES_LISTED),
        *_counted(unexpected, "unknown to the model", _NAMES_LISTED),
    ]


def _counted(names: list[str], problem: str, count: int) -> list[str]:
    return [f"{len(names)} {problem}: {listed(names, count)}"] if names else []


def _fits(name: str, given: Tensor, own: Tensor, allow_resize: bool) -> bool:
    """Return whether ``given`` has the right shape, or gets it when the module resizes it."""
    if given.shape == own.shape:
        return True
    is_resized = name.rpartition(".")[2] in _RESIZED and given.ndim == own.ndim
    return allow_resize and is_resized and given.shape[-1] == own.shape[-1]


def _sides(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
