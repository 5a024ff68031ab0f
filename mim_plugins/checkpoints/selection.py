"""Selection of the encoder's tensors in a checkpoint."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from torch import Tensor

from ..errors import CheckpointError
from .conversion import convert
from .layouts import BACKBONE, Layout, find_layout
from .wrapped_names import unwrap_tensors, without_wrappers

_LISTED = 8  # prefixes in an error message
_MIN_FIT = 0.2  # share of common names that suffices for an encoder of another depth
_MAX_PARTS = 3  # parts of a prefix that is suggested

# names that occur in no other backbone; the first match wins
_SIGNATURES = {
    "MaskedConvViT": {"patch_embed4.weight", "stage1.0.conv1.weight"},
    "MaskedPVT": {"stages.0.pos_embed", "stages.0.blocks.0.attn.kv.weight"},
    "MaskedSwin": {"pos_embed", "stages.0.blocks.0.attn.relative_position_bias_table"},
    "MaskedViT": {"pos_embed", "patch_embed.weight", "blocks.0.attn.qkv.weight"},
}


class Encoder(NamedTuple):
    """The encoder in a checkpoint."""

    tensors: dict[str, Tensor]
    """The encoder's tensors under the backbone's names."""
    others: dict[str, int]
    """Number of the checkpoint's other tensors by group, such as ``decoder``."""
    origin: str
    """Prefix or layout under which it was found, for logs."""


def backbone_class(names: Iterable[str]) -> str | None:
    """Return the class name of the backbone whose tensors have these names, or None."""
    given = set(names)
    return next((name for name, names in _SIGNATURES.items() if names <= given), None)


def select_encoder(
    tensors: dict[str, Tensor],
    prefix: str | None,
    fit: Callable[[set[str]], float],
    source: str,
    model: str,
    own: Mapping[str, Tensor] | None = None,
) -> Encoder:
    """Find the encoder's tensors.

    Layouts of other code bases are recognized and converted, also under a prefix. For them, and for
    a file that contains only an encoder, the prefix ``'backbone.'`` works as well. Names that
    ``torch.compile`` and other wrappers insert are left out.

    Args:
        tensors: all tensors of the checkpoint.
        prefix: beginning of the encoder's names; None for a file that contains nothing else.
        fit: function of names that returns the share of the model's names among them.
        source: name of the file, for messages.
        model: name of the model, for messages.
        own: the encoder's own tensors, see :func:`convert`.

    Raises:
        CheckpointError: no encoder has this prefix; the message contains the prefix that fits.
    """
    tensors = unwrap_tensors(tensors, own or {}, source)
    if prefix and not any(name.startswith(prefix) for name in tensors):
        prefix = without_wrappers(prefix)
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    layout = _other_layout(set(tensors), own)
    if layout is not None:
        if prefix not in ("", BACKBONE):
            raise CheckpointError(
                f"'{source}' is recognized as {layout.name}, which has no prefix='{prefix}':"
                f" use prefix='{BACKBONE}'"
            )
        return _converted(tensors, own, layout, source)
    under = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
    layout = _other_layout(under, own)
    if layout is not None and fit(under) < 1:
        inside = _split(tensors, prefix, "")
        converted = _converted(inside.tensors, own, layout, source)
        return converted._replace(
            others=converted.others | inside.others,
            origin=f"{layout.name} under prefix '{prefix}'",
        )
    if under and (prefix or fit(under) >= _MIN_FIT):
        return _split(tensors, prefix, f"prefix '{prefix}'" if prefix else "a plain backbone")
    if prefix == BACKBONE and fit(set(tensors)) >= _MIN_FIT:
        return _split(tensors, "", "a plain backbone")
    groups = Counter(name.split(".")[0] for name in tensors)
    listed = ", ".join(f"'{group}.' ({n})" for group, n in groups.most_common(_LISTED))
    more = ", ..." if len(groups) > _LISTED else ""
    wrong = f"no tensor begins with prefix='{prefix}'" if prefix else "it is not a plain backbone"
    raise CheckpointError(
        f"'{source}' does not fit {model}: {wrong}; its prefixes (tensors): {listed}{more};"
        f" {better_prefix(tensors, under, fit) or 'none of them fits: give another checkpoint'}"
    )


def _other_layout(names: set[str], own: Mapping[str, Tensor] | None) -> Layout | None:
    """Return the layout of other code bases among ``names``, None if the encoder's own has it."""
    layout = find_layout(names)
    return None if layout is None or layout.signature <= set(own or ()) else layout


def _converted(
    tensors: dict[str, Tensor], own: Mapping[str, Tensor] | None, layout: Layout, source: str
) -> Encoder:
    others = {}
    if all(name.startswith(BACKBONE) for name in layout.signature):
        # heads and necks of any task are not needed, so their names may be unknown
        others = _split(tensors, BACKBONE, "").others
        tensors = {name: value for name, value in tensors.items() if name.startswith(BACKBONE)}
    try:
        _, converted = convert(tensors, own)
    except ValueError as error:
        raise CheckpointError(
            f"'{source}': {error}; convert the file by hand, or give another one"
        ) from error
    found = _split(converted, BACKBONE, layout.name)
    return found._replace(others=found.others | others)


def better_prefix(
    tensors: dict[str, Tensor], found: Iterable[str], fit: Callable[[set[str]], float]
) -> str | None:
    """Suggest another prefix if its names fit clearly better than those ``found``, or None."""
    tensors = unwrap_tensors(tensors, {}, "")
    under: dict[str, set[str]] = {"": set(tensors)}
    for name in tensors:
        parts = name.split(".")
        for count in range(1, min(_MAX_PARTS, len(parts) - 1) + 1):
            # a stage of another encoder, and a decoder, contain the names of a plain encoder
            if parts[count - 1].isdigit() or parts[count - 1] == "decoder":
                break
            head = ".".join(parts[:count]) + "."
            under.setdefault(head, set()).add(name.removeprefix(head))
    best = max(under, key=lambda head: fit(under[head]))
    if fit(under[best]) < max(_MIN_FIT, 2 * fit(set(found))):
        return None
    return f"use prefix='{best}', which fits" if best else "use no prefix (prefix=None)"


def describe_blocks(shapes: dict[str, tuple[int, ...]]) -> str:
    """Describe depth and width of each group of blocks, such as ``blocks 12 x 768``."""
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
