"""Decoder that predicts both images of a mixture."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import (
    init_linear_and_norm,
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
)
from ..registry import MODELS


@MODELS.register_module()
class MixMAEDecoder(BaseModule):
    """Transformer decoder of MixMAE (arXiv 2205.13137, section 3.2, "dual reconstruction").

    Args:
        in_channels: channels D of the encoder's tokens; given by the algorithm.
        grid: tokens (h, w) at the image size of pre-training; given by the algorithm.
        patch_size: pixels per token side, the encoder's stride; given by the algorithm.
        embed_dims: width of the decoder.
        depth: Transformer blocks.
        num_heads: attention heads.
        mlp_ratio: width of the feed-forward networks relative to ``embed_dims``.
        out_channels: channels of the predicted images.
        init_cfg: MMEngine's.
    """

    pos_embed: Tensor

    def __init__(
        self,
        in_channels: int,
        grid: tuple[int, int],
        patch_size: int,
        embed_dims: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        out_channels: int = 3,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed = nn.Linear(in_channels, embed_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.register_buffer("pos_embed", sincos_position_embedding(embed_dims, grid))
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                embed_dims,
                num_heads,
                dim_feedforward=int(embed_dims * mlp_ratio),
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims)
        self.pred = nn.Linear(embed_dims, patch_size**2 * out_channels)
        self.apply(init_linear_and_norm)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the patches of both images of each mixture.

        Args:
            tokens: encoded mixtures (B, L, D).
            mask: bool (M, h, w), True = from the partner; M = 1 or B.

        Returns:
            Predictions (B, L, P) from the own tokens (the partner's replaced by the mask token)
            and predictions (B, L, P) from the partner's tokens (the own replaced).
        """
        x = self.embed(tokens)
        from_partner = mask.flatten(1)[..., None]  # (M, L, 1)
        mask_token = self.mask_token.to(x.dtype)
        own = torch.where(from_partner, mask_token, x)
        partner = torch.where(from_partner, x, mask_token)
        pos_embed = resize_position_embedding(self.pos_embed, (mask.shape[1], mask.shape[2]))
        x = torch.cat([own, partner]) + pos_embed.flatten(1, 2)  # (2 * B, L, D')
        for block in self.blocks:
            x = block(x)
        own, partner = self.pred(self.norm(x)).chunk(2)
        return own, partner

    def no_weight_decay(self) -> set[str]:
        """Parameters, by their name here, that weight decay spares besides biases and norms."""
        return {"mask_token"}
