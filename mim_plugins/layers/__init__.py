from .attention_blocks import AttentionBlocks, Tiling
from .masked_conv_block import MaskedConvBlock
from .patches import PatchEmbed, PatchMerging, patch_statistics, patchify, unpatchify
from .position_embedding import resize_on_load, resize_position_embedding, sincos_position_embedding
from .token_groups import TokenGroups, attend_with_pytorch
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
from .window_attention import WindowAttention, attend_in_groups, group_bias_rows
from .window_plan import Grouping, WindowKind, WindowPlan, WindowPlanner
from .windowed_blocks import windowed_forward
from .windows import (
    WindowLayout,
    additive_mask,
    group_attention_mask,
    relative_position_index,
    resize_relative_position_bias,
)

__all__ = [
    "AttentionBlocks",
    "Grouping",
    "MaskedConvBlock",
    "PatchEmbed",
    "PatchMerging",
    "SelfAttention",
    "Tiling",
    "TokenGroups",
    "TransformerBlock",
    "WindowAttention",
    "WindowKind",
    "WindowLayout",
    "WindowPlan",
    "WindowPlanner",
    "additive_mask",
    "attend",
    "attend_in_groups",
    "attend_with_pytorch",
    "build_mlp",
    "checkpointed_call",
    "checkpointed_forward",
    "fused_attention",
    "group_attention_mask",
    "group_bias_rows",
    "init_linear_and_norm",
    "patch_statistics",
    "patchify",
    "relative_position_index",
    "resize_on_load",
    "resize_position_embedding",
    "resize_relative_position_bias",
    "sincos_position_embedding",
    "unpatchify",
    "windowed_forward",
]
