"""Strict loading of an encoder's weights: every tensor is used, or the load fails and says why."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import CheckpointError
from .reading import read_tensors
from .selection import BACKBONE, better_prefix, describe_blocks, select_encoder
from .tensor_check import require_weights

# tensors that modules resize when they are loaded, by their last name
_RESIZED = ("pos_embed", "relative_position_bias_table")
_LISTED, _SHAPES_LISTED = 12, 4


class LoadReport(NamedTuple):
    """What became of a checkpoint's tensors."""

    loaded: int
    """Tensors that are now in the module, the resized ones included."""
    resized: tuple[str, ...]
    """Names of position embeddings and bias tables that had another size."""
    left: dict[str, int]
    """Tensors of the file that were not used, by group: ``{'decoder': 54}``."""
    new: tuple[str, ...]
    """Names of the module's tensors that the file does not have, such as ``out_norms.0.bias``."""


def load_pretrained(
    module: nn.Module, checkpoint: str | Path, prefix: str | None = None
) -> LoadReport:
    """Load an encoder's weights and log in one line what was loaded, resized, left and is new.

    Files of this package, exported ones, and all layouts that :func:`convert` knows are read.
    ``module`` may declare parts that a file may lack, ``allow_missing`` (by the part's name with a
    final dot: the part that must be there instead, or ``''``), and parts of a file that may remain
    unused, ``allow_unexpected``. Everything else must agree. An error leaves the module as it was.

    Args:
        module: one of this package's backbones; any other module is loaded without exceptions.
        checkpoint: path or address, see :func:`read_tensors`.
        prefix: what the encoder's names begin with; None for a file that holds nothing else.
            ``'backbone.'`` serves for such a file, and for other people's layouts, as well.

    Raises:
        CheckpointError: the file cannot be read, holds no such encoder, or its tensors are
            missing, unknown, of other shapes, no floats that the module's type can hold, or not
            finite.
    """
    own = module.state_dict()
    source, model = str(checkpoint), type(module).__name__
    tensors = read_tensors(checkpoint)

    def fit(names: set[str]) -> float:
        return len(names & set(own)) / max(len(own), 1)

    encoder = select_encoder(tensors, prefix, fit, source, model)
    new, left = _allowed_differences(module, set(own), set(encoder.tensors))
    used = {name: t for name, t in encoder.tensors.items() if name not in left}
    problems = describe_misfit(own, used, new)
    if problems:
        remedy = better_prefix(tensors, encoder.tensors, fit) or (
            f"build {model} with the arguments of the run that wrote the file, or give another"
            " checkpoint"
        )
        raise CheckpointError(
            f"'{source}' ({encoder.origin}) does not fit {model}: {problems}; {remedy}"
        )
    require_weights(used, source, own)
    _copy(module, own, used, source)
    resized = tuple(name for name, tensor in used.items() if tensor.shape != own[name].shape)
    report = LoadReport(
        len(used),
        resized,
        encoder.left | dict(Counter(BACKBONE + name.rpartition(".")[0] for name in left)),
        tuple(sorted(new)),
    )
    print_log(_one_line(report, source, model, encoder.origin), logger="current")
    return report


def _allowed_differences(module: Any, own: set[str], given: set[str]) -> tuple[set[str], set[str]]:
    """Names that the file may lack, and names of the file that may stay unused."""
    new = set()
    for part, instead in getattr(module, "allow_missing", {}).items():
        replaced = any(name.startswith(instead) for name in given)
        for name in own - given:
            siblings = name.rpartition(".")[0] + "."
            whole = not any(other.startswith(siblings) for other in given)
            if name.startswith(part) and replaced and whole:
                new.add(name)
    allow_unexpected = tuple(getattr(module, "allow_unexpected", ()))
    return new, {name for name in given - own if name.startswith(allow_unexpected)}


def describe_misfit(
    own: dict[str, Tensor],
    given: dict[str, Tensor],
    new: Collection[str] = (),
    may_resize: bool = True,
) -> str:
    """The differences between a module's tensors and a file's, in words; empty if there are none.

    Args:
        own: the module's state dict.
        given: the file's tensors.
        new: names that the file may lack.
        may_resize: accept other sizes of the tensors that modules resize when they are loaded.
    """
    missing = sorted(set(own) - set(given) - set(new))
    unknown = sorted(set(given) - set(own))
    shapes = [
        f"{name} {_sides(given[name])} in the file, {_sides(own[name])} in the model"
        for name in sorted(set(own) & set(given))
        if not _fits(name, given[name], own[name], may_resize)
    ]
    found = [
        f"{len(names)} {what}: {', '.join(names[:listed])}"
        + (f" and {len(names) - listed} more" if len(names) > listed else "")
        for names, what, listed in (
            (missing, "missing in the file", _LISTED),
            (unknown, "unknown to the model", _LISTED),
            (shapes, "of another shape", _SHAPES_LISTED),
        )
        if names
    ]
    if found:
        theirs, ours = (
            describe_blocks({name: tuple(t.shape) for name, t in tensors.items()})
            for tensors in (given, own)
        )
        if theirs != ours and theirs:
            found.insert(0, f"the file holds {theirs}, the model {ours}")
    return "; ".join(found)


def _fits(name: str, given: Tensor, own: Tensor, may_resize: bool) -> bool:
    """Has ``given`` the right shape, or will it have once the module has resized it?"""
    if given.shape == own.shape:
        return True
    is_resized = name.rpartition(".")[2] in _RESIZED and given.ndim == own.ndim
    return may_resize and is_resized and given.shape[-1] == own.shape[-1]


def _sides(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _copy(module: nn.Module, own: dict[str, Tensor], given: dict[str, Tensor], source: str) -> None:
    """Load ``given``, or nothing at all."""
    may_fail = any(tensor.shape != own[name].shape for name, tensor in given.items())
    before = {name: tensor.clone() for name, tensor in own.items()} if may_fail else {}
    try:
        module.load_state_dict(given, strict=False)
    except (RuntimeError, ValueError) as error:
        module.load_state_dict(before)
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"'{source}' does not fit {type(module).__name__}: {reason}; give another checkpoint"
        ) from error


def _one_line(report: LoadReport, source: str, model: str, origin: str) -> str:
    def listed(names: tuple[str, ...]) -> str:
        return f" ({', '.join(names)})" if names else ""

    groups = tuple(f"{group} {count}" for group, count in sorted(report.left.items()))
    return (
        f"{model}: loaded {report.loaded} tensors from '{source}' ({origin}),"
        f" {len(report.resized)} of them resized{_short(report.resized)};"
        f" left in the file: {sum(report.left.values())}{listed(groups)};"
        f" new in the model: {len(report.new)}{_short(report.new)}"
    )


def _short(names: tuple[str, ...]) -> str:
    more = f", ... {names[-1]}" if len(names) > 3 else ""
    return f" ({', '.join(names[:3])}{more})" if names else ""
