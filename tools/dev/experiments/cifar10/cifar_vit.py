"""Architecture of the teacher: a small timm ViT."""

from typing import Any

import torch
from cifar_arrays import CLASSES
from timm.layers import PatchEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.244, 0.262)

default_cfgs = generate_default_cfgs(
    {"cifar_vit": dict(input_size=(3, 32, 32), mean=MEAN, std=STD, num_classes=CLASSES)}
)


class ConvPatchEmbed(PatchEmbed):
    """Patch embedding of three small convolutions, which trains faster than one large one."""

    def __init__(self, embed_dim: int, in_chans: int = 3, **kwargs: Any) -> None:
        super().__init__(embed_dim=embed_dim, in_chans=in_chans, **kwargs)
        channels = [in_chans, embed_dim // 4, embed_dim // 2, embed_dim]
        layers: list[nn.Module] = []
        for index, stride in enumerate((1, 2, 2)):
            before, after = channels[index : index + 2]
            layers.append(nn.Conv2d(before, after, 3, stride, padding=1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.proj = nn.Sequential(*layers)  # type: ignore[assignment]


@register_model
def cifar_vit(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Build a ViT of width 128 and depth 2 on 8x8 tokens, with average pooling after the norm.

    The class token is not pooled; MR-MAE uses its attention.
    """
    sizes: dict[str, Any] = dict(img_size=32, patch_size=4, embed_dim=128, depth=2, num_heads=4)
    pooling: dict[str, Any] = dict(global_pool="avg", fc_norm=False, class_token=True)
    kwargs = dict[str, Any](embed_layer=ConvPatchEmbed, num_classes=CLASSES) | kwargs
    return build_model_with_cfg(
        VisionTransformer, "cifar_vit", pretrained, **sizes, **pooling, **kwargs
    )


def normalized(images: Tensor) -> Tensor:
    """Normalize images (B, 3, H, W) of 0 to 255 for the teacher."""
    mean, std = torch.tensor([MEAN, STD]).view(2, 1, 3, 1, 1)
    return (images.float() / 255 - mean) / std
