"""Base of the pre-training algorithms: their interface to MMEngine."""

from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from ..registry import MODELS


class PretrainingModel(BaseModel):
    """Base of the pre-training algorithms.

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
        """Dispatch a call of MMEngine's runner.

        Args:
            inputs: output of the data preprocessor for ``mode='loss'``, images (B, 3, H, W) for
                ``mode='tensor'``.
            data_samples: ignored.
            mode: ``'loss'`` for the losses of a training step, ``'tensor'`` for features.

        Raises:
            ValueError: ``mode`` is unknown.
        """
        if mode == "loss":
            return self.loss(inputs)
        if mode == "tensor":
            return self.extract_feat(inputs)
        raise ValueError(f"{type(self).__name__}: mode={mode!r} must be 'loss' or 'tensor'")

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Compute the losses of one training step, by name."""
        raise NotImplementedError

    def extract_feat(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the backbone's features of unmasked images (B, 3, H, W)."""
        return self.backbone(images)
