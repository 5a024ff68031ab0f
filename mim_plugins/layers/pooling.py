"""Pooled features of encoders of this package and of OpenMMLab packages."""

import inspect

from torch import Tensor, nn


def pooled_features(backbone: nn.Module, images: Tensor) -> Tensor:
    """Average the last output of an encoder over its positions: (B, D).

    Args:
        backbone: encoder of this package or of mmpretrain. Its last output may be a map
            (B, D, H, W), tokens (B, L, D), of which the first ``backbone.num_extra_tokens`` are
            skipped, or pooled features (B, D). A ``mask`` argument of its ``forward``, as in
            mmpretrain's encoders for pre-training, is set to None.
        images: unmasked images (B, 3, H, W).

    Raises:
        ValueError: the last output has another shape.
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
            f"{type(backbone).__name__} returns a tensor of shape {tuple(last.shape)}; expected"
            " (B, D, H, W), (B, L, D) or (B, D)"
        )
    return last
