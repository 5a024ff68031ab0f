"""Transformer decoders that predict pixels from tokens and mask tokens.

Letters: B images, L patches per image, V visible tokens, D channels of the encoder, D' channels of
the decoder, P values per patch, h x w token grid with L = h * w.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..errors import ConfigError
from ..layers import (
    TransformerBlock,
    init_linear_and_norm,
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
)
from ..masking import gather_tokens
from ..number_checks import check_above_0, check_integer
from ..registry import MODELS


class ReconstructionDecoder(BaseModule):
    """Base of the decoders.

    Args:
        in_channels: channels D of the encoder's tokens; set by the algorithm.
        grid: tokens (h, w) at the image size of pre-training; set by the algorithm.
        patch_size: pixels per token side; set by the algorithm.
        embed_dims: channels D' of the decoder.
        depth: number of Transformer blocks.
        num_heads: attention heads.
        mlp_ratio: width of the MLPs relative to ``embed_dims``.
        norm_eps: epsilon of the LayerNorms.
        out_channels: channels of the predicted images.
        init_cfg: MMEngine's.

    Raises:
        ValueError: a number is not possible, or ``embed_dims`` is not a multiple of 4 and of
            ``num_heads``.
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
        owner = type(self).__name__
        sizes = dict(
            in_channels=in_channels,
            patch_size=patch_size,
            embed_dims=embed_dims,
            num_heads=num_heads,
            out_channels=out_channels,
        )
        for argument, value in sizes.items():
            check_integer(owner, argument, value)
        check_integer(owner, "depth", depth, 0)
        check_above_0(owner, "mlp_ratio", mlp_ratio)
        check_above_0(owner, "norm_eps", norm_eps)
        if embed_dims % 4 or embed_dims % num_heads:
            raise ConfigError(
                f"{owner}: embed_dims={embed_dims} must be a multiple of 4, for the position"
                f" embedding, and of num_heads={num_heads}"
            )
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
        """Return the position embedding (1, L, D') of a grid (h, w)."""
        return resize_position_embedding(self.pos_embed, grid).flatten(1, 2)

    def predict(self, x: Tensor) -> Tensor:
        """Decode tokens with position embedding (B, L, D') into patches (B, L, P)."""
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x))

    def no_weight_decay(self) -> set[str]:
        """Return the parameters without weight decay, in addition to biases and norms."""
        return {"mask_token"}


@MODELS.register_module()
class MAEDecoder(ReconstructionDecoder):
    """Decoder of MAE and MCMAE (arXiv 2111.06377, section 3; arXiv 2205.03892).

    For the arguments see :class:`ReconstructionDecoder`.
    """

    def forward(
        self,
        tokens: Tensor,
        prefix_tokens: Tensor | None,
        ids_restore: Tensor,
        grid: tuple[int, int],
    ) -> Tensor:
        """Predict all patches of each image.

        Args:
            tokens: visible tokens in the order of the encoder (B, V, D).
            prefix_tokens: tokens without a position in the image, such as [CLS] (B, 1, D), or None.
            ids_restore: position of each token in the sequence of visible tokens followed by masked
                ones (B, L).
            grid: tokens (h, w) of the image.

        Returns:
            Patches (B, L, P), row by row.
        """
        x = self.embed(tokens)
        masked = ids_restore.shape[1] - x.shape[1]
        mask_tokens = self.mask_token.to(x.dtype).expand(len(x), masked, -1)
        x = gather_tokens(torch.cat([x, mask_tokens], dim=1), ids_restore)
        x = x + self.positions(grid)
        if prefix_tokens is not None:
            x = torch.cat([self.embed(prefix_tokens), x], dim=1)
        return self.predict(x)[:, -ids_restore.shape[1] :]


@MODELS.register_module()
class MixMAEDecoder(ReconstructionDecoder):
    """Decoder of MixMAE (arXiv 2205.13137, section 3.2, "dual reconstruction").

    For the arguments see :class:`ReconstructionDecoder`. The authors' code uses PyTorch's epsilon
    in the LayerNorms: set ``norm_eps=1e-5`` for parity.
    """

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the patches of both images of each mixture.

        Args:
            tokens: encoded mixtures (B, L, D).
            mask: bool (M, h, w), True = from the partner; M = 1 or B.

        Returns:
            Predictions of the own image from its own tokens, and predictions of the partner image
            from the partner's tokens, (B, L, P) each. Mask tokens replace the tokens of the other
            image.
        """
        x = self.embed(tokens)
        from_partner = mask.to(x.device, non_blocking=True).flatten(1)[..., None]  # (M, L, 1)
        mask_token = self.mask_token.to(x.dtype)
        own = torch.where(from_partner, mask_token, x)
        partner = torch.where(from_partner, x, mask_token)
        x = torch.cat([own, partner]) + self.positions((mask.shape[1], mask.shape[2]))
        pred_own, pred_partner = self.predict(x).chunk(2)  # from (2 * B, L, P)
        return pred_own, pred_partner
