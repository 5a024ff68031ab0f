"""SimMIM's forward pass of our Swin encoder, for a comparison on the same network."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mim_plugins.registry import MODELS


@MODELS.register_module()
class MaskTokenSwin(BaseModule):
    """Hierarchical encoder that replaces masked tokens by a learned mask token (arXiv 2111.09886).

    Args:
        encoder: config of a :class:`MaskedSwin`.
    """

    def __init__(self, encoder: dict) -> None:
        super().__init__()
        self.encoder = MODELS.build(encoder)
        self.mask_token = nn.Parameter(torch.zeros(self.encoder.stage_channels[0]))
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, images: Tensor, mask: Tensor) -> tuple[Tensor]:
        """Encode images (B, 3, H, W) to a feature map (B, D, H', W').

        ``mask`` (B, H / patch, W / patch) is 1 for masked tokens of the first stage.
        """
        tokens = self.encoder.patch_embed(images)
        tokens = torch.where(mask[..., None].bool(), self.mask_token, tokens)
        tokens = tokens + self.encoder.pos_embed
        for stage in self.encoder.stages:
            tokens = stage(tokens, None)
        return (self.encoder.norm(tokens).permute(0, 3, 1, 2),)
