"""Similarity maps of student predictions and teacher features."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..algorithms.mimic import denormalize_images
from ..masking import (
    MixedImages,
    TokenMask,
    count_visible,
    gather_tokens,
    mask_from_scores,
    mix_tokens,
    random_scores,
)


@torch.no_grad()
def similarity_maps(model: Any, images: Tensor) -> dict[str, Tensor]:
    """Return the cosine similarity of predicted and teacher features for every token.

    The encoder of MR-MAE predicts features of visible tokens only. It therefore runs once for each
    of several complementary masks such that each token is visible in at least one of them.

    Args:
        model: an :class:`MRMAE`.
        images: normalized images (B, 3, H, W).

    Returns:
        Similarities (B, h, w) between -1 and 1, by name of the mimic.
    """
    grid = model.token_grid(images)
    targets = model.compute_targets(images, grid)
    maps = {name: images.new_zeros(len(images), grid[0] * grid[1]) for name in targets}
    for token_mask in complementary_masks(images, grid[0] * grid[1], model.mask_ratio):
        encoded = model.backbone.forward_masked(images, token_mask, model.fusion_layers)
        by_layer = dict(zip(model.fusion_layers, encoded.intermediates, strict=True))
        for name, mimic in model.mimics.items():
            fused = tuple(by_layer[layer] for layer in mimic.fusion_layers)
            prediction = mimic.head.predict(encoded.tokens, fused).float()
            target = gather_tokens(targets[name].features, token_mask.ids_keep)
            similarity = F.cosine_similarity(prediction, target, dim=-1)
            maps[name].scatter_(1, token_mask.ids_keep, similarity)
    return {name: values.unflatten(1, grid) for name, values in maps.items()}


@torch.no_grad()
def mixture_similarity_maps(model: Any, batch: MixedImages) -> dict[str, Tensor]:
    """Return the cosine similarity of each token of a mixture and the features of its image.

    Args:
        model: a :class:`MixMAE` with mimics.
        batch: mixtures (B, 3, H, W).

    Returns:
        Similarities (B, h, w) between -1 and 1, by name of the mimic.
    """
    grid = (batch.mask.shape[1], batch.mask.shape[2])
    if not model.mimics:
        return {}
    tokens = model.encode(batch)
    pixels = denormalize_images(batch.images, model.data_preprocessor)
    maps = {}
    for name, mimic in model.mimics.items():
        target = mix_tokens(
            mimic.teacher_features(pixels, grid).features, batch.mask, batch.partner
        )
        prediction = mimic.head.predict(tokens).float()
        maps[name] = F.cosine_similarity(prediction, target, dim=-1).unflatten(1, grid)
    return maps


def complementary_masks(images: Tensor, tokens: int, mask_ratio: float) -> list[TokenMask]:
    """Sample masks of ``mask_ratio`` that together make each of the ``tokens`` visible.

    There are as few masks as possible. If the number of visible tokens does not divide ``tokens``,
    some tokens are visible twice.
    """
    visible = count_visible(tokens, mask_ratio)
    rank = random_scores(len(images), tokens, images.device).argsort(dim=1)
    starts = (min(start, tokens - visible) for start in range(0, tokens, visible))
    return [mask_from_scores(((rank - start) % tokens).float(), mask_ratio) for start in starts]
