"""Batch transform that mixes images pairwise."""

import torch
from torch import Tensor

from ..number_checks import check_not_negative, check_share
from ..registry import TRANSFORMS
from .mixing import (
    MixedImages,
    choose_partners,
    count_masked,
    inverse_permutation,
    mix,
    sample_masks,
)


@TRANSFORMS.register_module()
class MixImages:
    """Mix each image with a partner by a random mask (MixMAE, section 3.1).

    Args:
        mask_ratio: share of the cells taken from the partner, between 0 and 1.
        range_mask_ratio: width of the interval, starting at ``mask_ratio``, from which the ratio
            of each batch is drawn uniformly.
        per_pair: sample one mask per pair of images instead of one per batch. Images that exchange
            tokens always share a mask; otherwise some tokens would never be predicted.
        encoder_stride: pixels per side of a mask cell; set by the algorithm to the stride of its
            backbone.

    Raises:
        ValueError: ``mask_ratio`` or ``mask_ratio + range_mask_ratio`` is outside (0, 1).
    """

    def __init__(
        self,
        mask_ratio: float = 0.5,
        range_mask_ratio: float = 0.0,
        per_pair: bool = False,
        encoder_stride: int | None = None,
    ) -> None:
        check_share("MixImages", "mask_ratio", mask_ratio)
        check_not_negative("MixImages", "range_mask_ratio", range_mask_ratio)
        if range_mask_ratio >= 1 - mask_ratio:
            raise ValueError(
                f"MixImages: range_mask_ratio={range_mask_ratio} must be below"
                f" 1 - mask_ratio = {1 - mask_ratio:g}"
            )
        self.mask_ratio = mask_ratio
        self.range_mask_ratio = range_mask_ratio
        self.per_pair = per_pair
        self.encoder_stride = encoder_stride

    @property
    def has_fixed_count(self) -> bool:
        """True if all masks take the same number of cells from the partner."""
        return self.range_mask_ratio == 0

    def bind(self, encoder_stride: int, img_size: tuple[int, int]) -> None:
        """Set the encoder stride and check the mask ratio for images of ``img_size`` (H, W).

        Raises:
            ValueError: ``encoder_stride`` contradicts the argument of the constructor, or the mask
                ratio leaves an image without a visible or without a masked cell.
        """
        if self.encoder_stride not in (None, encoder_stride):
            raise ValueError(
                f"MixImages: encoder_stride={self.encoder_stride} must equal the stride of the"
                f" backbone, {encoder_stride}; leave it out"
            )
        self.encoder_stride = encoder_stride
        cells = (img_size[0] // encoder_stride) * (img_size[1] // encoder_stride)
        count_masked(cells, self.mask_ratio)

    def __call__(self, images: Tensor) -> MixedImages:
        """Mix normalized images (B, C, H, W).

        Raises:
            ValueError: ``images`` has fewer than 2 images or sides that are not multiples of the
                encoder stride, or the mask ratio leaves an image without a visible or without a
                masked cell.
        """
        batch, _, height, width = images.shape
        stride = self.encoder_stride
        if stride is None or height % stride or width % stride:
            raise ValueError(
                f"MixImages: both sides of images of {height}x{width} pixels must be multiples of"
                f" encoder_stride={stride}"
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
        both = torch.stack([partner, inverse_permutation(partner)])
        partner, mixture = both.to(images.device, non_blocking=True)
        return MixedImages(images, mix(images, mask, partner), mask, partner, mixture)


def _exchange_groups(partner: Tensor) -> Tensor:
    """Label each image (B,) with the smallest index of the images it exchanges tokens with."""
    group = torch.arange(len(partner), device=partner.device)
    for _ in range(2):  # choose_partners makes cycles of two or three images
        group = torch.minimum(group, group[partner])
    return group
