"""Loss on reconstructed pixels."""

from mmengine.model import BaseModule
from torch import Tensor

from ..layers import patch_statistics, patchify
from ..registry import MODELS


@MODELS.register_module()
class PixelHead(BaseModule):
    """Mean squared error of predicted patches, as in MAE (arXiv 2111.06377, section 3).

    Args:
        patch_size: pixels per patch side; given by the algorithm.
        norm_pix: normalize every target patch to mean 0 and variance 1.
        init_cfg: MMEngine's.
    """

    def __init__(
        self, patch_size: int, norm_pix: bool = True, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.patch_size = patch_size
        self.norm_pix = norm_pix

    def forward(self, prediction: Tensor, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean over all patches, or over those where ``mask`` is True.

        Computed in float32, whatever the precision of the network.

        Args:
            prediction: (B, L, P).
            images: (B, C, H, W).
            mask: bool (B, L), True = masked, hidden from the encoder; at least one is.
        """
        errors = (prediction.float() - self.target(images)).square().mean(dim=-1)  # (B, L)
        return errors.mean() if mask is None else (errors * mask).sum() / mask.sum()

    def target(self, images: Tensor) -> Tensor:
        """What the decoder should predict for ``images``: (B, L, P)."""
        patches = patchify(images.float(), self.patch_size)
        if not self.norm_pix:
            return patches
        mean, std = patch_statistics(patches)
        return (patches - mean) / std

    def to_pixels(self, prediction: Tensor, images: Tensor) -> Tensor:
        """Undo the target's normalization with the statistics of the true patches: (B, L, P)."""
        if not self.norm_pix:
            return prediction.float()
        mean, std = patch_statistics(patchify(images.float(), self.patch_size))
        return prediction.float() * std + mean
