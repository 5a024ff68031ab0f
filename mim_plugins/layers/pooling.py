"""Pooling of what encoders of any project return."""

import inspect

from torch import Tensor, nn


def pooled_features(backbone: nn.Module, images: Tensor) -> Tensor:
    """Features (B, D) of whole images (B, 3, H, W): the mean over the positions of the last output.

    ``backbone`` may be one of ours or of mmpretrain, and return maps (B, D, H, W), tokens
    (B, L, D), whose first ``num_extra_tokens`` are left out, or pooled features (B, D). Encoders
    whose ``forward`` takes a mask, as mmpretrain's for pre-training do, are called without one.

    Raises:
        ValueError: an output of another shape.
    """
    has_mask = "mask" in inspect.signature(backbone.forward).parameters
    outputs = backbone(images, mask=None) if has_mask else backbone(images)
    last = outputs[-1] if isinstance(outputs, (tuple, list)) else outputs
    if last.ndim == 4:
        return last.mean(dim=(2, 3))
    if last.ndim == 3:
        return last[:, getattr(backbone, "num_extra_tokens", 0) :].mean(dim=1)
    if last.ndim != 2:
        raise ValueError(
            f"{type(backbone).__name__} returns {tuple(last.shape)}; expected (B, D, H, W),"
            " (B, L, D) or (B, D)"
        )
    return last
