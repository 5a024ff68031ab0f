"""Models that take pixels, for export to other runtimes."""

from typing import Any

from torch import Tensor, nn

from ..data_preprocessors import place_of, reads_rgb, run_config
from ..datasets.pipelines import check_not_normalized
from ..layers.pooling import pooled_features
from .images import normalize


class FromPixels(nn.Module):
    """Model that normalizes images itself and returns logits or pooled features.

    Args:
        model: classifier, or another model with ``backbone`` and ``data_preprocessor``.
        features: return pooled features (B, D) instead of logits.

    Raises:
        ConfigError: a pipeline of the model's config normalizes images.
    """

    def __init__(self, model: nn.Module, features: bool) -> None:
        super().__init__()
        self.model: Any = model
        self.features = features
        self.channels: int = getattr(model.backbone, "in_channels", 3)
        self.to_bgr = not reads_rgb(model)
        config = run_config(model)
        for field in ("train_dataloader", "val_dataloader", "test_dataloader"):
            check_not_normalized(config.get(field), field)

    def forward(self, images: Tensor) -> Tensor:
        """Process images (B, C, H, W) with values from 0 to 255, RGB if C is 3."""
        pixels = normalize(images, self.model.data_preprocessor, self.to_bgr)
        return self.outputs(pixels.to(place_of(self.model)[1]))

    def outputs(self, inputs: Tensor) -> Tensor:
        """Process normalized images (B, C, H, W) in the model's order of colors."""
        if self.features:
            return pooled_features(self.model.backbone, inputs)
        return self.model(inputs, mode="tensor")
