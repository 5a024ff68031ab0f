"""Mixing of image pairs by a mask, and unmixing of predictions (MixMAE, section 3.1).

Letters: B images, M masks (1 when the batch shares one, else B), h x w mask grid with L = h * w
cells, P values per predicted patch. Mask polarity: True = taken from the partner image.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.utils import _pair


@dataclass(frozen=True)
class MixedImages:
    """Batch of images mixed pairwise.

    Mixture ``i`` shows image ``i`` where its mask is False, and image ``partner[i]`` where its mask
    is True.

    A dataclass, not a tuple: DistributedDataParallel would copy the tensors of a tuple that are on
    the CPU, and the CPU would wait.
    """

    images: Tensor
    """Images before mixing (B, C, H, W)."""
    mixed: Tensor
    """Mixtures (B, C, H, W)."""
    mask: Tensor
    """Bool (M, h, w), True = from the partner. It is on the CPU, where the encoder's planner counts
    tokens, and on the device of the images once there is a plan."""
    partner: Tensor
    """Index of the partner of each image (B,): a permutation without fixed points."""
    mixture: Tensor | None = None
    """Index of the mixture in which each image is the partner (B,): the inverse of ``partner``."""
    plan: Any = None
    """Result of the encoder's planner for the mask, made by the data preprocessor; else None."""


def choose_partners(batch_size: int, device: torch.device | None = None) -> Tensor:
    """Return the partner of each image (B,): the batch in reverse order, as in the authors' code.

    In a batch of odd size, reversal would pair the middle image with itself. There, the middle
    three images are paired cyclically instead.

    Raises:
        ValueError: ``batch_size`` is below 2.
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
    """Return for each image the mixture in which it is the partner (B,)."""
    return torch.argsort(partner)


def count_masked(num_cells: int, mask_ratio: float) -> int:
    """Return the number of cells taken from the partner.

    Raises:
        ValueError: at this ratio, one of the two images has no cell in the mixture.
    """
    masked = int(num_cells * mask_ratio)  # rounded down, as in the authors' code
    if not 0 < masked < num_cells:
        raise ValueError(
            f"mask_ratio={mask_ratio} masks {masked} of {num_cells} cells; at least one cell must"
            " be masked and one visible; change mask_ratio or the image size"
        )
    return masked


def sample_masks(
    num_masks: int, grid: tuple[int, int], mask_ratio: float, device: torch.device | None = None
) -> Tensor:
    """Sample uniform bool masks (num_masks, h, w) with ``int(L * mask_ratio)`` cells True each."""
    cells = grid[0] * grid[1]
    noise = torch.rand(num_masks, cells, device=device)
    chosen = noise.argsort(dim=1)[:, : count_masked(cells, mask_ratio)]
    mask = torch.zeros(num_masks, cells, dtype=torch.bool, device=device)
    return mask.scatter_(1, chosen, True).reshape(num_masks, *grid)


def upsample_mask(mask: Tensor, factor: int | tuple[int, int]) -> Tensor:
    """Upsample a mask (..., h, w) to a grid that is ``factor`` times finer in height and width."""
    rows, cols = _pair(factor)
    return mask.repeat_interleave(rows, -2).repeat_interleave(cols, -1)


def mix(images: Tensor, mask: Tensor, partner: Tensor) -> Tensor:
    """Mix images (B, C, H, W) by ``mask`` (M, h, w), whose cells are H / h by W / w pixels."""
    cell = (images.shape[-2] // mask.shape[-2], images.shape[-1] // mask.shape[-1])
    mask = mask.to(images.device, non_blocking=True)
    return torch.where(upsample_mask(mask, cell)[:, None], images[partner], images)


def mix_tokens(tokens: Tensor, mask: Tensor, partner: Tensor) -> Tensor:
    """Mix tokens (B, L, D) by ``mask`` (M, h, w) in the same way as :func:`mix` mixes images."""
    return torch.where(_per_token(mask, tokens), tokens[partner], tokens)


def unmix(
    pred_own: Tensor,
    pred_partner: Tensor,
    mask: Tensor,
    partner: Tensor,
    mixture: Tensor | None = None,
) -> Tensor:
    """Collect the predictions of each image from the mixtures in which its patches are masked.

    Args:
        pred_own: predictions (B, L, P) of image ``i`` from mixture ``i``; the patches
            where the mask is True are masked there.
        pred_partner: predictions (B, L, P) of image ``partner[i]`` from mixture ``i``; the
            patches where the mask is False are masked there.
        mask: bool (M, h, w), True = from the partner.
        partner: index of the partner of each image (B,).
        mixture: inverse of ``partner`` (B,); computed if None.

    Returns:
        Predictions (B, L, P) in the order of the images before mixing.
    """
    if mixture is None:
        mixture = inverse_permutation(partner)
    return torch.where(_per_token(mask, pred_own), pred_own, pred_partner[mixture])


def _per_token(mask: Tensor, tokens: Tensor) -> Tensor:
    """Reshape a mask (M, h, w) to (M, L, 1) on the device of ``tokens``."""
    return mask.to(tokens.device, non_blocking=True).flatten(1)[..., None]
