"""Batch transform that mixes the images of a batch pairwise."""

import torch
from torch import Tensor

from ..registry import TRANSFORMS
from .mixing import (
    MixedImages,
    choose_partners,
    count_masked,
    mix,
    sample_masks,
)


@TRANSFORMS.register_module()
class MixImages:
    """Mix each image with a partner, on a random mask (MixMAE, section 3.1).

    Args:
        mask_ratio: share of the cells taken from the partner, between 0 and 1.
        range_mask_ratio: every batch's ratio is ``mask_ratio`` plus a uniformly random share of
            this.
        per_pair: draw one mask per pair of images in place of one for the batch. Images that
            exchange tokens always share a mask, otherwise some would never be predicted.
        encoder_stride: pixels per mask cell. Left to the algorithm, which knows its backbone.

    Raises:
        ValueError: a ratio outside (0, 1).
    """

    def __init__(
        self,
        mask_ratio: float = 0.5,
        range_mask_ratio: float = 0.0,
        per_pair: bool = False,
        encoder_stride: int | None = None,
    ) -> None:
        if not isinstance(mask_ratio, float) or not 0 < mask_ratio < 1:
            raise ValueError(
                f"MixImages: mask_ratio={mask_ratio!r} must be between 0 and 1, excluded"
            )
        if not 0 <= range_mask_ratio < 1 - mask_ratio:
            raise ValueError(
                f"MixImages: range_mask_ratio={range_mask_ratio} must be at least 0 and below"
                f" 1 - mask_ratio = {1 - mask_ratio:g}"
            )
        self.mask_ratio = mask_ratio
        self.range_mask_ratio = range_mask_ratio
        self.per_pair = per_pair
        self.encoder_stride = encoder_stride

    def fit(self, encoder_stride: int, img_size: tuple[int, int]) -> None:
        """Take the stride of the encoder and check the ratio on its grid, before any training.

        Raises:
            ValueError: another stride was set, or the ratio leaves an image of ``img_size`` (H, W)
                pixels without a visible or without a masked cell.
        """
        if self.encoder_stride not in (None, encoder_stride):
            raise ValueError(
                f"MixImages: encoder_stride={self.encoder_stride} is not the backbone's, which is"
                f" {encoder_stride}; leave it out"
            )
        self.encoder_stride = encoder_stride
        cells = (img_size[0] // encoder_stride) * (img_size[1] // encoder_stride)
        count_masked(cells, self.mask_ratio)

    def __call__(self, images: Tensor) -> MixedImages:
        """Mix normalized images (B, C, H, W).

        Raises:
            ValueError: fewer than 2 images, sides that are not multiples of the encoder stride, or
                a grid on which the ratio leaves an image without a visible or a masked cell.
        """
        batch, _, height, width = images.shape
        stride = self.encoder_stride
        if stride is None or height % stride or width % stride:
            raise ValueError(
                f"MixImages: images of {height}x{width} pixels cannot be mixed with"
                f" encoder_stride={stride}; both sides must be multiples of it"
            )
        partner = choose_partners(batch)
        grid = (height // stride, width // stride)
        ratio = self.mask_ratio
        if self.range_mask_ratio:
            ratio += self.range_mask_ratio * torch.rand(()).item()
        if self.per_pair:
            mask = sample_masks(batch, grid, ratio)[_exchange_groups(partner)]
        else:
            mask = sample_masks(1, grid, ratio)
        partner = partner.to(images.device, non_blocking=True)
        return MixedImages(images, mix(images, mask, partner), mask, partner)


def _exchange_groups(partner: Tensor) -> Tensor:
    """Smallest index among the images that exchange tokens with each image (B,)."""
    group = torch.arange(len(partner), device=partner.device)
    for _ in range(2):  # choose_partners makes circles of two or three images
        group = torch.minimum(group, group[partner])
    return group
