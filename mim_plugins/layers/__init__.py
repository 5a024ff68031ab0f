from .biased_attention import biased_attention
from .masked_conv_block import MaskedConvBlock
from .patch_layers import PatchEmbed, PatchMerging, patch_statistics, patchify, unpatchify
from .position_embedding import resize_on_load, resize_position_embedding, sincos_position_embedding
from .token_groups import TokenGroups, prefer_ragged
from .transformer import (
    SelfAttention,
    TransformerBlock,
    build_mlp,
    checkpointed_forward,
    init_linear_and_norm,
    run_block,
)
from .window_attention import WindowAttention
from .windowed_blocks import run_windowed_blocks
from .windows import (
    WindowLayout,
    group_attention_mask,
    relative_position_index,
    resize_relative_position_bias,
)

__all__ = [
    "MaskedConvBlock",
    "PatchEmbed",
    "PatchMerging",
    "SelfAttention",
    "TokenGroups",
    "TransformerBlock",
    "WindowAttention",
    "WindowLayout",
    "biased_attention",
    "build_mlp",
    "checkpointed_forward",
    "group_attention_mask",
    "init_linear_and_norm",
    "patch_statistics",
    "patchify",
    "prefer_ragged",
    "relative_position_index",
    "resize_on_load",
    "resize_position_embedding",
    "resize_relative_position_bias",
    "run_block",
    "run_windowed_blocks",
    "sincos_position_embedding",
    "unpatchify",
]
