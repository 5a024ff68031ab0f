"""Which of a checkpoint's tensors are the encoder's."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from torch import Tensor

from ..errors import CheckpointError
from .conversion import convert
from .layouts import find_layout

BACKBONE = "backbone."
_LISTED = 8  # of a checkpoint's prefixes
_MIN_FIT = 0.2  # share of names by which an encoder of other depth is still told from other files
_MAX_PARTS = 3  # of a prefix that is proposed

# by names that only its tensors have; the first that holds
_MARKS = {
    "MaskedConvViT": {"patch_embed4.weight", "stage1.0.conv1.weight"},
    "MaskedPVT": {"stages.0.pos_embed", "stages.0.blocks.0.attn.kv.weight"},
    "MaskedSwin": {"pos_embed", "stages.0.blocks.0.attn.relative_position_bias_table"},
    "MaskedViT": {"pos_embed", "patch_embed.weight", "blocks.0.attn.qkv.weight"},
}


class Encoder(NamedTuple):
    """The encoder in a checkpoint."""

    tensors: dict[str, Tensor]
    """Its tensors, under the names that the backbone has for them."""
    others: dict[str, int]
    """Number of the checkpoint's other tensors by group, such as ``decoder``."""
    origin: str
    """Where in the file it was, for logs."""


def backbone_class(names: Iterable[str]) -> str | None:
    """The backbone of this package whose tensors have these names; None if there is none."""
    given = set(names)
    return next((name for name, mark in _MARKS.items() if mark <= given), None)


def select_encoder(
    tensors: dict[str, Tensor],
    prefix: str | None,
    fit: Callable[[set[str]], float],
    source: str,
    model: str,
) -> Encoder:
    """Find the encoder's tensors.

    A layout of other people is recognized and converted. The prefix ``'backbone.'`` means "the
    encoder", so that it serves for such a layout and for a file that holds nothing else as well.

    Args:
        tensors: all tensors of the checkpoint.
        prefix: what the encoder's names begin with; None for a file that holds nothing else.
        fit: share of the wanted names that are among the given ones.
        source: name of the file, for messages.
        model: what the encoder is to be, for messages.

    Raises:
        CheckpointError: no encoder under this prefix; the message says which prefix fits.
    """
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    layout = find_layout(set(tensors))
    if layout is not None:
        if prefix not in ("", BACKBONE):
            raise CheckpointError(
                f"'{source}' is recognized as {layout.name}, where prefix='{prefix}' names nothing:"
                f" use prefix='{BACKBONE}'"
            )
        try:
            _, converted = convert(tensors)
        except ValueError as error:
            raise CheckpointError(
                f"'{source}': {error}; convert the file by hand, or give another one"
            ) from error
        return _split(converted, BACKBONE, layout.name)
    under = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    if under and (prefix or fit(under) >= _MIN_FIT):
        return _split(tensors, prefix, f"prefix '{prefix}'" if prefix else "a plain backbone")
    if prefix == BACKBONE and fit(set(tensors)) >= _MIN_FIT:
        return _split(tensors, "", "a plain backbone")
    groups = Counter(name.split(".")[0] for name in tensors)
    listed = ", ".join(f"'{group}.' ({n})" for group, n in groups.most_common(_LISTED))
    more = ", ..." if len(groups) > _LISTED else ""
    wrong = f"no tensor begins with prefix='{prefix}'" if prefix else "it is no plain backbone"
    raise CheckpointError(
        f"'{source}' does not fit {model}: {wrong}; its prefixes (tensors): {listed}{more};"
        f" {better_prefix(tensors, under, fit) or 'none of them fits: give another checkpoint'}"
    )


def better_prefix(
    tensors: dict[str, Tensor], found: Iterable[str], fit: Callable[[set[str]], float]
) -> str | None:
    """Advice to use another prefix, if its names fit clearly better than those ``found``."""
    under: dict[str, set[str]] = {"": set(tensors)}
    for name in tensors:
        parts = name.split(".")
        for count in range(1, min(_MAX_PARTS, len(parts) - 1) + 1):
            # one stage of another encoder, or a decoder, has the names of a plain encoder
            if parts[count - 1].isdigit() or parts[count - 1] == "decoder":
                break
            head = ".".join(parts[:count]) + "."
            under.setdefault(head, set()).add(name.removeprefix(head))
    best = max(under, key=lambda head: fit(under[head]))
    if fit(under[best]) < max(_MIN_FIT, 2 * fit(set(found))):
        return None
    return f"use prefix='{best}', which fits" if best else "use no prefix (prefix=None)"


def describe_blocks(shapes: dict[str, tuple[int, ...]]) -> str:
    """Depth and width of each group of blocks, such as ``blocks 12 x 768``."""
    depths: dict[str, int] = {}
    widths: dict[str, int] = {}
    for name, shape in shapes.items():
        match = re.fullmatch(r"(.*)\.(\d+)\.norm1\.weight", name)
        if match and shape:
            depths[match[1]] = max(depths.get(match[1], 0), int(match[2]) + 1)
            widths[match[1]] = shape[0]
    return ", ".join(f"{group} {depths[group]} x {widths[group]}" for group in sorted(depths))


def _split(tensors: dict[str, Tensor], prefix: str, origin: str) -> Encoder:
    encoder, others = {}, Counter[str]()
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            encoder[name.removeprefix(prefix)] = tensor
        else:
            others[name.split(".")[0]] += 1
    return Encoder(encoder, dict(others), origin)
