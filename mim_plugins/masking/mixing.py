"""Mixing images by a mask and taking the mixtures' predictions apart again (MixMAE, section 3.1).

Letters: B images, M masks (1 when the batch shares one, else B), h x w mask grid with L = h * w
cells, P values per predicted patch. Mask polarity: True = taken from the partner image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MixedImages:
    """A batch mixed pairwise: mixture ``i`` holds image ``i`` where its mask is False and image
    ``partner[i]`` where it is True.

    No tuple, for PyTorch's DistributedDataParallel would move a tuple's tensors, and so the mask,
    to the GPU.
    """

    images: Tensor
    """Images before mixing (B, C, H, W)."""
    mixed: Tensor
    """Mixtures (B, C, H, W)."""
    mask: Tensor
    """Bool (M, h, w), True = from the partner. On the CPU, where the encoder counts its tokens."""
    partner: Tensor
    """Index of each image's partner (B,), a permutation without fixed point."""


def choose_partners(batch_size: int, device: torch.device | None = None) -> Tensor:
    """Partner of each image: the batch reversed, as the authors do, for even sizes.

    Reversal would leave the middle image of an odd batch to itself: there, the middle three images
    lend to each other in a circle.

    Raises:
        ValueError: ``batch_size`` is below 2; an image cannot be mixed with itself.
    """
    if batch_size < 2:
        raise ValueError(f"batch_size={batch_size}: mixing needs at least 2 images per process")
    partner = torch.arange(batch_size - 1, -1, -1, device=device)
    if batch_size % 2:
        middle = batch_size // 2
        partner[middle - 1] = middle
        partner[middle] = middle + 1
    return partner


def inverse_permutation(partner: Tensor) -> Tensor:
    """For each image, the mixture that holds it as the partner (B,)."""
    return torch.argsort(partner)


def count_masked(num_cells: int, mask_ratio: float) -> int:
    """Cells taken from the partner.

    Raises:
        ValueError: the ratio leaves one of the two images without a cell.
    """
    masked = int(num_cells * mask_ratio)  # rounded down, as in the authors' code
    if not 0 < masked < num_cells:
        raise ValueError(
            f"mask_ratio={mask_ratio} masks {masked} of {num_cells} cells; at least one cell must"
            " be masked and one visible, so that both images are seen and predicted"
        )
    return masked


def sample_masks(
    num_masks: int, grid: tuple[int, int], mask_ratio: float, device: torch.device | None = None
) -> Tensor:
    """Uniformly random bool masks (num_masks, h, w), each with ``int(L * mask_ratio)`` True."""
    cells = grid[0] * grid[1]
    noise = torch.rand(num_masks, cells, device=device)
    chosen = noise.argsort(dim=1)[:, : count_masked(cells, mask_ratio)]
    mask = torch.zeros(num_masks, cells, dtype=torch.bool, device=device)
    return mask.scatter_(1, chosen, True).reshape(num_masks, *grid)


def mix(images: Tensor, mask: Tensor, partner: Tensor) -> Tensor:
    """Mix images (B, C, H, W) by ``mask`` (M, h, w), each cell H / h by W / w pixels."""
    height, width = images.shape[-2] // mask.shape[-2], images.shape[-1] // mask.shape[-1]
    mask = mask.to(images.device, non_blocking=True)
    pixels = mask.repeat_interleave(height, 1).repeat_interleave(width, 2)  # (M, H, W)
    return torch.where(pixels[:, None], images[partner], images)


def mix_tokens(tokens: Tensor, mask: Tensor, partner: Tensor) -> Tensor:
    """Mix tokens (B, L, D) as :func:`mix` mixes their images, for ``mask`` (M, h, w)."""
    return torch.where(_per_token(mask, tokens), tokens[partner], tokens)


def unmix(pred_own: Tensor, pred_partner: Tensor, mask: Tensor, partner: Tensor) -> Tensor:
    """Collect each image's predictions from the mixtures in which the patches were hidden.

    Args:
        pred_own: predictions (B, L, P) of image ``i`` from mixture ``i``, which hides its
            patches where the mask is True.
        pred_partner: predictions (B, L, P) of image ``partner[i]`` from mixture ``i``, which hides
            that image's patches where the mask is False.
        mask: bool (M, h, w).
        partner: (B,).

    Returns:
        Predictions (B, L, P) in the order of the images before mixing.
    """
    lender = inverse_permutation(partner)
    return torch.where(_per_token(mask, pred_own), pred_own, pred_partner[lender])


def _per_token(mask: Tensor, tokens: Tensor) -> Tensor:
    """Mask (M, h, w) as (M, L, 1), where ``tokens`` are."""
    return mask.to(tokens.device, non_blocking=True).flatten(1)[..., None]
