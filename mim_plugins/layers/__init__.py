from .masked_conv_block import MaskedConvBlock
from .patches import PatchEmbed, PatchMerging, patch_statistics, patchify, unpatchify
from .position_embedding import resize_on_load, resize_position_embedding, sincos_position_embedding
from .token_groups import TokenGroups, prefer_ragged
from .transformer import (
    SelfAttention,
    TransformerBlock,
    attend,
    build_mlp,
    checkpointed_call,
    checkpointed_forward,
    fused_attention,
    init_linear_and_norm,
)
from .window_attention import WindowAttention
from .windowed_blocks import windowed_forward
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
    "attend",
    "build_mlp",
    "checkpointed_call",
    "checkpointed_forward",
    "fused_attention",
    "group_attention_mask",
    "init_linear_and_norm",
    "patch_statistics",
    "patchify",
    "prefer_ragged",
    "relative_position_index",
    "resize_on_load",
    "resize_position_embedding",
    "resize_relative_position_bias",
    "sincos_position_embedding",
    "unpatchify",
    "windowed_forward",
]
