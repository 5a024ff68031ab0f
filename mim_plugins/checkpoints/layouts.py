"""Key layouts of other people's checkpoints, and how their tensors become ours.

A layout is a list of (pattern, replacement) pairs on whole parameter names; the first pattern that
matches wins, and a replacement of None drops the tensor.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Rules = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Layout:
    """One family of checkpoints."""

    name: str
    """What error messages and logs call it."""
    signature: frozenset[str]
    """Names that are all there in a checkpoint of this layout, and in no other layout."""
    rules: Rules
    """Renaming to our names."""
    transform: Callable[[str, Tensor], Tensor] | None = None
    """Change of a tensor, given its own (not our) name."""

    def rename(self, name: str) -> str | None:
        """Our name of a tensor, or None if it is derived and dropped.

        Raises:
            KeyError: no rule knows the name.
        """
        for pattern, replacement in self.rules:
            match = re.fullmatch(pattern, name)
            if match:
                return None if replacement is None else _fill(replacement, match)
        raise KeyError(name)


def _fill(replacement: str, match: re.Match) -> str:
    """Expand ``\\1``; ``\\1+1`` stands for the matched number plus one."""
    replacement = re.sub(r"\\(\d)\+1", lambda m: str(int(match[int(m[1])]) + 1), replacement)
    return match.expand(replacement)


def _grid_from_tokens(name: str, tensor: Tensor) -> Tensor:
    """Give a position embedding (1, L, D) of a square grid its (1, H, W, D) shape."""
    if not name.endswith("pos_embed"):
        return tensor
    side = int(tensor.shape[1] ** 0.5)
    if side * side != tensor.shape[1]:
        raise ValueError(f"{name} has {tensor.shape[1]} tokens, which is not a square grid")
    return tensor.reshape(1, side, side, -1)


def _mmcv_merging_to_timm(name: str, tensor: Tensor) -> Tensor:
    """Reorder the inputs of a patch merging from mmcv's channel order to timm's.

    mmcv unfolds to (C, row, column), timm concatenates to (column, row, C).
    """
    if ".downsample." not in name:
        return _grid_from_tokens(name, tensor)
    channels = tensor.shape[-1] // 4
    blocks = tensor.reshape(*tensor.shape[:-1], channels, 2, 2)  # (..., C, row, column)
    order = (*range(tensor.ndim - 1), tensor.ndim + 1, tensor.ndim, tensor.ndim - 1)
    return blocks.permute(order).reshape(tensor.shape).contiguous()


_TIMM_BLOCK_TO_TORCH: Rules = (
    (r"decoder_blocks\.(\d+)\.attn\.qkv\.(\w+)", r"decoder.blocks.\1.self_attn.in_proj_\2"),
    (r"decoder_blocks\.(\d+)\.attn\.proj\.(\w+)", r"decoder.blocks.\1.self_attn.out_proj.\2"),
    (r"decoder_blocks\.(\d+)\.mlp\.fc(\d)\.(\w+)", r"decoder.blocks.\1.linear\2.\3"),
    (r"decoder_blocks\.(\d+)\.(norm\d\.\w+)", r"decoder.blocks.\1.\2"),
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
        *_TIMM_BLOCK_TO_TORCH,
        (r"decoder_(pos_embed|embed\.\w+|norm\.\w+|pred\.\w+)", r"decoder.\1"),
        (r"mask_token", "decoder.mask_token"),
    ),
    transform=_grid_from_tokens,
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
        (r"backbone\.layers\.(\d+\.blocks\.\d+)\.ln(\d\.\w+)", r"backbone.stages.\1.norm\2"),
        (r"backbone\.layers\.(\d+\.blocks\.\d+\.attn\..*)", r"backbone.stages.\1"),
        (
            r"backbone\.layers\.(\d+\.blocks\.\d+)\.ffn\.layers\.0\.0\.(\w+)",
            r"backbone.stages.\1.mlp.fc1.\2",
        ),
        (
            r"backbone\.layers\.(\d+\.blocks\.\d+)\.ffn\.layers\.1\.(\w+)",
            r"backbone.stages.\1.mlp.fc2.\2",
        ),
        (r"(head\.fc\.\w+)", r"\1"),
        (r"neck\.(mask_token)", r"decoder.\1"),
        (r"neck\.decoder_(pos_embed|embed\.\w+|pred\.\w+)", r"decoder.\1"),
        (r"neck\.ln1\.(\w+)", r"decoder.norm.\1"),
        (
            r"neck\.decoder_blocks\.(\d+)\.attn\.qkv\.(\w+)",
            r"decoder.blocks.\1.self_attn.in_proj_\2",
        ),
        (
            r"neck\.decoder_blocks\.(\d+)\.attn\.proj\.(\w+)",
            r"decoder.blocks.\1.self_attn.out_proj.\2",
        ),
        (r"neck\.decoder_blocks\.(\d+)\.ln(\d\.\w+)", r"decoder.blocks.\1.norm\2"),
        (
            r"neck\.decoder_blocks\.(\d+)\.ffn\.layers\.0\.0\.(\w+)",
            r"decoder.blocks.\1.linear1.\2",
        ),
        (r"neck\.decoder_blocks\.(\d+)\.ffn\.layers\.1\.(\w+)", r"decoder.blocks.\1.linear2.\2"),
    ),
    transform=_mmcv_merging_to_timm,
)

LAYOUTS = (MIXMIM_AUTHORS, MIXMIM_MMPRETRAIN)


def recognise(names: set[str]) -> Layout:
    """The layout whose signature is among ``names``.

    Raises:
        ValueError: none is; the message lists the known ones.
    """
    for layout in LAYOUTS:
        if layout.signature <= names:
            return layout
    known = "; ".join(layout.name for layout in LAYOUTS)
    raise ValueError(
        f"its {len(names)} tensors are not named as in any known checkpoint ({known}). First names:"
        f" {', '.join(sorted(names)[:5])}"
    )


def convert(tensors: dict[str, Tensor]) -> tuple[Layout, dict[str, Tensor]]:
    """Recognise a checkpoint's layout and return its tensors under our names.

    Raises:
        ValueError: the layout is not recognised, or holds a tensor that nothing here knows.
    """
    layout = recognise(set(tensors))
    converted: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in tensors.items():
        try:
            new_name = layout.rename(name)
        except KeyError:
            unknown.append(name)
            continue
        if new_name is not None:
            tensor = torch.as_tensor(tensor)
            converted[new_name] = layout.transform(name, tensor) if layout.transform else tensor
    if unknown:
        raise ValueError(
            f"recognised as {layout.name}, but these tensors are unknown: {', '.join(unknown)}"
        )
    return layout, converted
