"""Decoder that predicts the masked patches of an image from its visible tokens."""

import torch
from torch import Tensor

from ..masking import gather_tokens
from ..registry import MODELS
from .reconstruction_decoder import ReconstructionDecoder


@MODELS.register_module()
class MAEDecoder(ReconstructionDecoder):
    """Decoder of MAE and MCMAE (arXiv 2111.06377, section 3; 2205.03892).

    For the arguments see :class:`ReconstructionDecoder`.
    """

    def forward(
        self, tokens: Tensor, prefix: Tensor | None, ids_restore: Tensor, grid: tuple[int, int]
    ) -> Tensor:
        """Predict all patches.

        Args:
            tokens: visible tokens in the encoder's order (B, V, D).
            prefix: tokens without a place in the image, such as [CLS] (B, 1, D), or None.
            ids_restore: for each patch its place among visible, then masked tokens (B, L).
            grid: tokens (h, w) of the image, h * w = L.

        Returns:
            Patches (B, L, P) in the image's order.
        """
        x = self.embed(tokens)
        masked = ids_restore.shape[1] - x.shape[1]
        mask_tokens = self.mask_token.to(x.dtype).expand(len(x), masked, -1)
        x = gather_tokens(torch.cat([x, mask_tokens], dim=1), ids_restore)
        x = x + self.positions(grid)
        if prefix is not None:
            x = torch.cat([self.embed(prefix), x], dim=1)
        return self.predict(x)[:, -ids_restore.shape[1] :]
