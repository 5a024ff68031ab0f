"""Strict loading of an encoder's weights: every tensor is used, or the load fails."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.logging import print_log
from torch import nn

from ..errors import CheckpointError
from .inflation import Inflation, inflatable, inflate_weights
from .reading import read_tensors
from .selection import BACKBONE, better_prefix, select_encoder
from .strict_loading import describe_mismatch, load_strictly


class LoadReport(NamedTuple):
    """Outcome of loading an encoder from a checkpoint."""

    loaded: int
    """Number of tensors that were loaded into the module, including the resized ones."""
    resized: tuple[str, ...]
    """Names of position embeddings and bias tables that had another size."""
    unexpected: dict[str, int]
    """Number of the file's tensors that were not used, by group: ``{'decoder': 54}``."""
    missing: tuple[str, ...]
    """Names of the module's tensors that the file lacks, such as ``out_norms.0.bias``."""


def load_pretrained(
    module: nn.Module,
    checkpoint: str | Path,
    prefix: str | None = None,
    inflate: Inflation | None = None,
) -> LoadReport:
    """Load an encoder's weights and log a summary in one line.

    The file may be a checkpoint or an export of this package, or have any layout that
    :func:`convert` supports. All tensors must agree, with exceptions that the class of ``module``
    declares: ``allow_missing`` maps each part that a file may lack to the part that the file must
    contain instead (or to ``''``), which then remains unused, and ``allow_unexpected`` lists other
    parts of a file that may remain unused. Names of parts end in a dot. An error leaves the module
    unchanged.

    Args:
        module: one of this package's backbones; any other module must agree in all tensors.
        checkpoint: path or address, see :func:`read_tensors`.
        prefix: beginning of the encoder's names; None for a file that contains nothing else.
            ``'backbone.'`` also works for such a file and for third-party layouts.
        inflate: adapt the weights of the file's image channels to those of ``module``, see
            :func:`inflate_channels`: True for their mean, or the file's channel for each channel.

    Raises:
        CheckpointError: the file cannot be read, contains no such encoder, or its tensors are
            missing, unknown, of other shapes, not floats that the module's type can hold, or not
            finite.
    """
    own = module.state_dict()
    source, model = str(checkpoint), type(module).__name__
    tensors = read_tensors(checkpoint)

    def fit(names: set[str]) -> float:
        return len(names & set(own)) / max(len(own), 1)

    encoder = select_encoder(tensors, prefix, fit, source, model, own)
    missing, unexpected = _allowed_differences(module, set(own), set(encoder.tensors))
    used = {name: t for name, t in encoder.tensors.items() if name not in unexpected}
    may_inflate = inflatable(own, used) is not None
    if inflate:
        used |= inflate_weights(own, used, inflate)
    problems = describe_mismatch(own, used, missing)
    if problems:
        remedy = better_prefix(tensors, encoder.tensors, fit)
        if may_inflate and not inflate:
            remedy = "add inflate=True to init_cfg to adapt the weights to the number of channels"
        remedy = remedy or (
            f"build {model} with the arguments of the run that wrote the file, or give another"
            " checkpoint"
        )
        raise CheckpointError(
            f"'{source}' ({encoder.origin}) does not fit {model}: {problems}; {remedy}"
        )
    load_strictly(module, used, source, allow_missing=True)
    report = LoadReport(
        len(used),
        tuple(name for name, tensor in used.items() if tensor.shape != own[name].shape),
        encoder.others | dict(Counter(BACKBONE + name.rpartition(".")[0] for name in unexpected)),
        tuple(sorted(missing)),
    )
    print_log(_one_line(report, source, model, encoder.origin), logger="current")
    return report


def _allowed_differences(module: Any, own: set[str], given: set[str]) -> tuple[set[str], set[str]]:
    """Return names that the file may lack, and names of the file that may remain unused."""
    missing = set()
    unused = [*getattr(module, "allow_unexpected", ())]
    for part, instead in getattr(module, "allow_missing", {}).items():
        is_replaced = any(name.startswith(instead) for name in given)
        for name in own - given:
            siblings = name.rpartition(".")[0] + "."
            all_missing = not any(other.startswith(siblings) for other in given)
            if name.startswith(part) and is_replaced and all_missing:
                missing.add(name)
                unused += filter(None, [instead])
    return missing, {name for name in given - own if name.startswith(tuple(unused))}


def _one_line(report: LoadReport, source: str, model: str, origin: str) -> str:
    groups = ", ".join(f"{group} {count}" for group, count in sorted(report.unexpected.items()))
    return (
        f"{model}: loaded {report.loaded} tensors from '{source}' ({origin}),"
        f" {len(report.resized)} of them resized{_short(report.resized)};"
        f" unexpected: {sum(report.unexpected.values())}{f' ({groups})' if groups else ''};"
        f" missing: {len(report.missing)}{_short(report.missing)}"
    )


def _short(names: tuple[str, ...]) -> str:
    more = f", ... {names[-1]}" if len(names) > 3 else ""
    return f" ({', '.join(names[:3])}{more})" if names else ""
