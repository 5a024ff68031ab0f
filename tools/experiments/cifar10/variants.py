"""Parts of the ablations: methods with one idea of theirs taken out."""

from torch import Tensor

from mim_plugins.algorithms import MixMAE
from mim_plugins.backbones import MaskedSwin
from mim_plugins.masking import MixedImages
from mim_plugins.registry import MODELS


@MODELS.register_module()
class UnmaskedAttentionSwin(MaskedSwin):
    """Reads mixed images without telling the two images apart."""

    def forward_mixed(self, images: Tensor, mask: Tensor) -> Tensor:
        """Encode mixed images (B, 3, H, W) to tokens (B, L, D); ``mask`` is not used."""
        x = self.embed(images)
        for stage in self.stages:
            x = stage(x, None)
        return self.norm(x).flatten(1, 2)


@MODELS.register_module()
class SingleReconstruction(MixMAE):
    """Reconstructs the own image of each mixture only, where it is hidden."""

    def loss(self, batch: MixedImages) -> dict[str, Tensor]:
        """As MixMAE's, without the partner's reconstruction."""
        tokens = self.backbone.forward_mixed(batch.mixed, batch.mask)
        pred_own, _ = self.decoder(tokens, batch.mask)
        hidden = batch.mask.flatten(1).to(tokens.device).expand(len(tokens), -1)
        return dict(loss_rec=self.head(pred_own, batch.images, hidden))
