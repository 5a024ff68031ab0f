"""Layouts of checkpoints of other code bases, with rules for renaming to this package's names.

A rule is a pair (pattern, replacement). A pattern must match the complete name, the first match
wins, and the replacement None drops the tensor.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

BACKBONE = "backbone."
"""Beginning of the names of an encoder's tensors."""

Rules = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Layout:
    """Names and shapes of one family of checkpoints."""

    name: str
    """Name in error messages and logs."""
    signature: frozenset[str]
    """Names that occur together in checkpoints of this layout and of no other."""
    rules: Rules
    """Rules for renaming to our names."""
    transform: Callable[[str, Tensor], Tensor] | None = None
    """Change of a tensor's values or shape; its first argument is the original name."""
    has_rows: bool = True
    """Position embeddings (1, L, D) have a row per token; otherwise they are grids."""

    def rename(self, name: str) -> str | None:
        """Return our name of a tensor, or None if the tensor is dropped.

        Raises:
            KeyError: no rule matches the name.
        """
        for pattern, replacement in self.rules:
            match = re.fullmatch(pattern, name)
            if match:
                return None if replacement is None else _fill(replacement, match)
        raise KeyError(name)


def _fill(replacement: str, match: re.Match) -> str:
    r"""Expand ``\1`` to a group and ``\1+1`` to the group's number plus one."""
    replacement = re.sub(r"\\(\d)\+1", lambda m: str(int(match[int(m[1])]) + 1), replacement)
    return match.expand(replacement)


def _mmcv_merging_to_timm(name: str, tensor: Tensor) -> Tensor:
    """Reorder the input channels of a patch merging layer from mmcv's order to timm's.

    mmcv unfolds to (C, row, column); timm concatenates to (column, row, C).
    """
    if ".downsample." not in name:
        return tensor
    channels, rest = divmod(tensor.shape[-1] if tensor.ndim else 0, 4)
    if rest or not channels:
        raise ValueError(
            f"{name} must have four inputs per channel; its shape is {(*tensor.shape,)}"
        )
    blocks = tensor.reshape(*tensor.shape[:-1], channels, 2, 2)  # (..., C, row, column)
    order = (*range(tensor.ndim - 1), tensor.ndim + 1, tensor.ndim, tensor.ndim - 1)
    return blocks.permute(order).reshape(tensor.shape).contiguous()


def _mmpretrain_block(theirs: str, ours: str) -> Rules:
    """Return rules for mmpretrain's blocks; a group in ``theirs`` can be used in ``ours``."""
    group = theirs.count("(")
    block, rest = f"\\{group + 1}", f"\\{group + 2}"
    return (
        (rf"{theirs}\.(\d+)\.ln(\d\.\w+)", f"{ours}.{block}.norm{rest}"),
        (rf"{theirs}\.(\d+)\.(attn\..*)", f"{ours}.{block}.{rest}"),
        (rf"{theirs}\.(\d+)\.ffn\.layers\.0\.0\.(\w+)", f"{ours}.{block}.mlp.fc1.{rest}"),
        (rf"{theirs}\.(\d+)\.ffn\.layers\.1\.(\w+)", f"{ours}.{block}.mlp.fc2.{rest}"),
    )


_TIMM_DECODER: Rules = (
    (r"decoder_(blocks\..*|pos_embed|embed\.\w+|norm\.\w+|pred\.\w+)", r"decoder.\1"),
    (r"mask_token", "decoder.mask_token"),
)

_MMPRETRAIN_NECKS: Rules = (
    (r"(neck\.bn\.\w+)", r"\1"),  # of linear probing
    (r"neck\.(mask_token)", r"decoder.\1"),
    (r"neck\.decoder_(pos_embed|embed\.\w+|pred\.\w+)", r"decoder.\1"),
    (r"neck\.ln1\.(\w+)", r"decoder.norm.\1"),
    *_mmpretrain_block(r"neck\.decoder_blocks", "decoder.blocks"),
)

MIXMIM_AUTHORS = Layout(
    name="MixMIM/MixMAE of the authors",
    signature=frozenset({"absolute_pos_embed", "layers.0.blocks.0.attn.qkv.weight"}),
    rules=(
        (r".*\.relative_position_index", None),
        (r"absolute_pos_embed", "backbone.pos_embed"),
        (r"(patch_embed\..*|norm\.\w+)", r"backbone.\1"),
        (r"layers\.(\d+)\.downsample\.(.*)", r"backbone.stages.\1+1.downsample.\2"),
        (r"layers\.(\d+\.blocks\..*)", r"backbone.stages.\1"),
        (r"head\.(\w+)", r"head.fc.\1"),
        *_TIMM_DECODER,
    ),
)

MIXMIM_MMPRETRAIN = Layout(
    name="MixMIM of mmpretrain",
    signature=frozenset({"backbone.absolute_pos_embed", "backbone.layers.0.blocks.0.ln1.weight"}),
    rules=(
        (r".*\.relative_position_index|data_preprocessor\..*", None),
        (r"backbone\.absolute_pos_embed", "backbone.pos_embed"),
        (r"backbone\.patch_embed\.projection\.(\w+)", r"backbone.patch_embed.proj.\1"),
        (r"(backbone\.(?:patch_embed\.)?norm\.\w+)", r"\1"),
        (r"backbone\.layers\.(\d+)\.downsample\.(.*)", r"backbone.stages.\1+1.downsample.\2"),
        *_mmpretrain_block(r"backbone\.layers\.(\d+\.blocks)", r"backbone.stages.\1"),
        (r"(head\.fc\.\w+)", r"\1"),
        *_MMPRETRAIN_NECKS,
    ),
    transform=_mmcv_merging_to_timm,
)

MCMAE_AUTHORS = Layout(
    name="MCMAE/ConvMAE of the authors",
    signature=frozenset({"patch_embed4.weight", "blocks3.0.attn.qkv.weight"}),
    rules=(
        (r"blocks([12])\.(.*)", r"backbone.stage\1.\2"),
        (r"blocks3\.(.*)", r"backbone.blocks.\1"),
        (r"(pos_embed|patch_embed\d\..*|stage\d_output_decode\.\w+)", r"backbone.\1"),
        (r"((?:fc_)?norm\.\w+)", r"backbone.\1"),
        (r"head\.(\w+)", r"head.fc.\1"),
        *_TIMM_DECODER,
    ),
)

MAE_AUTHORS = Layout(
    name="MAE of the authors or ViT of timm",
    signature=frozenset({"pos_embed", "blocks.0.attn.qkv.weight", "patch_embed.proj.weight"}),
    rules=(
        (r"patch_embed\.proj\.(\w+)", r"backbone.patch_embed.\1"),
        (r"(cls_token|pos_embed|blocks\..*|(?:fc_)?norm\.\w+)", r"backbone.\1"),
        (r"head\.(\w+)", r"head.fc.\1"),
        *_TIMM_DECODER,
    ),
)

MAE_MMPRETRAIN = Layout(
    name="MAE of mmpretrain",
    signature=frozenset({"backbone.cls_token", "backbone.layers.0.ln1.weight"}),
    rules=(
        (r"data_preprocessor\..*", None),
        (r"(backbone\.(?:cls_token|pos_embed))", r"\1"),
        (r"backbone\.patch_embed\.projection\.(\w+)", r"backbone.patch_embed.\1"),
        (r"backbone\.ln1\.(\w+)", r"backbone.norm.\1"),
        (r"backbone\.ln2\.(\w+)", r"backbone.fc_norm.\1"),
        *_mmpretrain_block(r"backbone\.layers", "backbone.blocks"),
        (r"(head\.fc\.\w+)", r"\1"),
        *_MMPRETRAIN_NECKS,
    ),
)

# timm's Swin has no position embedding and no norms between stages; our export adds them
SWIN_TIMM = Layout(
    name="Swin of timm with our position embedding",
    signature=frozenset({"pos_embed", "layers.0.blocks.0.attn.qkv.weight"}),
    rules=(
        (r"(pos_embed|patch_embed\..*|norm\.\w+|out_norms\..*)", r"backbone.\1"),
        (r"layers\.(\d+\.(?:downsample|blocks)\..*)", r"backbone.stages.\1"),
        (r"(head\.fc\.\w+)", r"\1"),
    ),
    has_rows=False,
)

LAYOUTS = (
    MIXMIM_AUTHORS,
    MIXMIM_MMPRETRAIN,
    MCMAE_AUTHORS,
    MAE_AUTHORS,
    MAE_MMPRETRAIN,
    SWIN_TIMM,
)


def find_layout(names: set[str]) -> Layout | None:
    """Return the layout whose signature is among ``names``, or None."""
    return next((layout for layout in LAYOUTS if layout.signature <= names), None)


def recognize(names: set[str]) -> Layout:
    """Return the layout whose signature is among ``names``.

    Raises:
        ValueError: the layout is unknown; the message lists the known ones.
    """
    layout = find_layout(names)
    if layout is not None:
        return layout
    known = "; ".join(layout.name for layout in LAYOUTS)
    raise ValueError(
        f"the names of its {len(names)} tensors match no known layout ({known}). First names:"
        f" {', '.join(sorted(names)[:5])}"
    )
