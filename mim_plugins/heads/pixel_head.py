"""Loss on reconstructed pixels."""

from mmengine.model import BaseModule
from torch import Tensor

from ..layers import patch_statistics, patchify
from ..number_checks import check_integer
from ..registry import MODELS


@MODELS.register_module()
class PixelHead(BaseModule):
    """Mean squared error of predicted patches, as in MAE (arXiv 2111.06377, section 3).

    Args:
        patch_size: pixels per patch side; given by the algorithm.
        norm_pix: normalize each target patch to mean 0 and variance 1.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``patch_size`` is not a positive integer.
    """

    def __init__(
        self, patch_size: int, norm_pix: bool = True, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.patch_size = check_integer("PixelHead", "patch_size", patch_size)
        self.norm_pix = norm_pix

    def forward(self, prediction: Tensor, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the mean error of all patches, or of those where ``mask`` is True, in float32.

        Args:
            prediction: predicted patches (B, L, P).
            images: normalized images (B, C, H, W).
            mask: bool (B, L), True = masked, with at least one masked patch.
        """
        errors = (prediction.float() - self.target(images)).square().mean(dim=-1)  # (B, L)
        return errors.mean() if mask is None else (errors * mask).sum() / mask.sum()

    def target(self, images: Tensor) -> Tensor:
        """Return the target patches (B, L, P) of normalized ``images`` (B, C, H, W)."""
        patches = patchify(images.float(), self.patch_size)
        if not self.norm_pix:
            return patches
        mean, std = patch_statistics(patches)
        return (patches - mean) / std

    def denormalize_patches(self, prediction: Tensor, images: Tensor) -> Tensor:
        """Denormalize predicted patches (B, L, P) with the statistics of the true patches."""
        if not self.norm_pix:
            return prediction.float()
        mean, std = patch_statistics(patchify(images.float(), self.patch_size))
        return prediction.float() * std + mean
