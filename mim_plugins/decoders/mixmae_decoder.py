"""Decoder that predicts both images of a mixture."""

import torch
from torch import Tensor

from ..registry import MODELS
from .reconstruction_decoder import ReconstructionDecoder


@MODELS.register_module()
class MixMAEDecoder(ReconstructionDecoder):
    """Decoder of MixMAE (arXiv 2205.13137, section 3.2, "dual reconstruction").

    For the arguments see :class:`ReconstructionDecoder`. The authors' LayerNorms have PyTorch's
    epsilon of 1e-5: give ``norm_eps=1e-5`` for parity.
    """

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
        pred_partner = mask.to(x.device, non_blocking=True).flatten(1)[..., None]  # (M, L, 1)
        mask_token = self.mask_token.to(x.dtype)
        own = torch.where(pred_partner, mask_token, x)
        partner = torch.where(pred_partner, x, mask_token)
        x = torch.cat([own, partner]) + self.positions((mask.shape[1], mask.shape[2]))
        own, partner = self.predict(x).chunk(2)  # from (2 * B, L, P)
        return own, partner
