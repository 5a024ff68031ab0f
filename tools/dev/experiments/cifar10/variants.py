"""Variants for the ablations: methods without one of their components."""

from torch import Tensor

from mim_plugins.algorithms import MixMAE
from mim_plugins.backbones import MaskedSwin
from mim_plugins.masking import MixedImages
from mim_plugins.registry import MODELS


@MODELS.register_module()
class UnmaskedAttentionSwin(MaskedSwin):
    """Encoder whose attention does not separate the two images of a mixture."""

    def forward_mixed(self, images: Tensor, mask: Tensor, plan: tuple | None = None) -> Tensor:
        """Encode mixed images (B, 3, H, W) to tokens (B, L, D); mask and plan are not used."""
        x = self.embed(images)
        for stage in self.stages:
            x = stage(x, None)
        return self.norm(x).flatten(1, 2)


@MODELS.register_module()
class SingleReconstruction(MixMAE):
    """MixMAE that reconstructs only the first image of each mixture, where it is masked."""

    def loss(self, batch: MixedImages) -> dict[str, Tensor]:
        """Compute MixMAE's loss without the reconstruction of the partner."""
        tokens = self.encode(batch)
        pred_own, _ = self.decoder(tokens, batch.mask)
        masked = batch.mask.flatten(1).to(tokens.device).expand(len(tokens), -1)
        return dict(loss_rec=self.head(pred_own, batch.images, masked))
