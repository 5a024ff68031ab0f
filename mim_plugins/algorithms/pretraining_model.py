"""What the pre-training algorithms share: how MMEngine calls them."""

from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from ..registry import MODELS


class PretrainingModel(BaseModel):
    """Base of algorithms: ``loss`` of what the data preprocessor makes, features of images.

    A subclass sets ``backbone`` and implements :meth:`loss`.

    Args:
        data_preprocessor: config of the data preprocessor.
        init_cfg: MMEngine's.
    """

    backbone: Any

    def __init__(self, data_preprocessor: dict, init_cfg: dict | None = None) -> None:
        super().__init__(MODELS.build(data_preprocessor), init_cfg)

    def forward(
        self, inputs: Any, data_samples: list | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | tuple[Tensor, ...]:
        """MMEngine's entry: ``'loss'`` of a training batch, or ``'tensor'`` features of images.

        Raises:
            ValueError: another ``mode``.
        """
        if mode == "loss":
            return self.loss(inputs)
        if mode == "tensor":
            return self.extract_feat(inputs)
        raise ValueError(f"{type(self).__name__}: mode={mode!r} must be 'loss' or 'tensor'")

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Losses of one training step, by name."""
        raise NotImplementedError

    def extract_feat(self, images: Tensor) -> tuple[Tensor, ...]:
        """The backbone's features of whole images (B, 3, H, W)."""
        return self.backbone(images)
