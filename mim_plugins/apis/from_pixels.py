"""Models that take pixels, for export to other runtimes."""

from typing import Any

from torch import Tensor, nn

from ..layers.pooling import pooled_features
from .images import normalize


class FromPixels(nn.Module):
    """Model that normalizes images itself and returns logits or pooled features.

    Args:
        model: classifier, or another model with ``backbone`` and ``data_preprocessor``.
        features: return pooled features (B, D) instead of logits.
    """

    def __init__(self, model: nn.Module, features: bool) -> None:
        super().__init__()
        self.model: Any = model
        self.features = features
        self.channels: int = getattr(model.backbone, "in_channels", 3)

    def forward(self, images: Tensor) -> Tensor:
        """Process images (B, C, H, W) with values from 0 to 255, RGB if C is 3."""
        inputs = normalize(images, self.model.data_preprocessor, images.device)
        if self.features:
            return pooled_features(self.model.backbone, inputs)
        return self.model(inputs, mode="tensor")
