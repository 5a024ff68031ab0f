from .biased_attention import biased_attention
from .masked_conv_block import MaskedConvBlock
from .patch_layers import PatchEmbed, PatchMerging, patch_statistics, patchify, unpatchify
from .position_embedding import resize_on_load, resize_position_embedding, sincos_position_embedding
from .token_groups import TokenGroups, ragged_pays
from .transformer import (
    SelfAttention,
    TransformerBlock,
    feed_forward,
    init_linear_and_norm,
    run_block,
    run_blocks,
)
from .window_attention import WindowAttention
from .windowed_blocks import run_windowed_blocks
from .windows import (
    WindowLayout,
    relative_position_index,
    resize_relative_position_bias,
    same_group,
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
    "feed_forward",
    "init_linear_and_norm",
    "patch_statistics",
    "patchify",
    "ragged_pays",
    "relative_position_index",
    "resize_on_load",
    "resize_position_embedding",
    "resize_relative_position_bias",
    "run_block",
    "run_blocks",
    "run_windowed_blocks",
    "same_group",
    "sincos_position_embedding",
    "unpatchify",
]
