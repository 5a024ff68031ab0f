from .base_backbone import BaseBackbone, StageInfo
from .encoded_tokens import EncodedTokens
from .frozen_backbone import FrozenBackbone
from .hierarchical_backbone import HierarchicalBackbone, MixedPlanner
from .masked_conv_vit import MaskedConvViT
from .masked_pvt import MaskedPVT
from .masked_swin import MaskedSwin
from .masked_vit import MaskedViT
from .plain_backbone import PlainBackbone

__all__ = [
    "BaseBackbone",
    "EncodedTokens",
    "FrozenBackbone",
    "HierarchicalBackbone",
    "MaskedConvViT",
    "MaskedPVT",
    "MaskedSwin",
    "MaskedViT",
    "MixedPlanner",
    "PlainBackbone",
    "StageInfo",
]
