"""What the reconstruction decoders share."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import (
    TransformerBlock,
    init_linear_and_norm,
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
)


class ReconstructionDecoder(BaseModule):
    """Base of Transformer decoders that predict pixels from tokens and mask tokens.

    Args:
        in_channels: channels D of the encoder's tokens; given by the algorithm.
        grid: tokens (h, w) at the image size of pre-training; given by the algorithm.
        patch_size: pixels per token side; given by the algorithm.
        embed_dims: width D' of the decoder.
        depth: Transformer blocks.
        num_heads: attention heads.
        mlp_ratio: width of the feed-forward networks relative to ``embed_dims``.
        norm_eps: epsilon of the LayerNorms.
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
        norm_eps: float = 1e-6,
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
            TransformerBlock(embed_dims, num_heads, mlp_ratio, norm_eps=norm_eps)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.pred = nn.Linear(embed_dims, patch_size**2 * out_channels)
        self.apply(init_linear_and_norm)

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding (1, L, D') of a grid (h, w) with L = h * w."""
        return resize_position_embedding(self.pos_embed, grid).flatten(1, 2)

    def predict(self, x: Tensor) -> Tensor:
        """Blocks, norm and prediction: tokens with positions (B, L, D') to patches (B, L, P)."""
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x))

    def no_weight_decay(self) -> set[str]:
        """Parameters, by their name here, that weight decay spares besides biases and norms."""
        return {"mask_token"}
