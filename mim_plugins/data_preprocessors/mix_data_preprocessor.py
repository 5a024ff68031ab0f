"""Data preprocessor that normalises images and mixes them, on the device."""

from collections.abc import Callable
from typing import Any

from mmengine.model import ImgDataPreprocessor

from ..registry import MODELS, TRANSFORMS


@MODELS.register_module()
class MixDataPreprocessor(ImgDataPreprocessor):
    """MMEngine's image preprocessor, followed in training by a batch transform.

    Args:
        batch_transform: config or object that maps images (B, C, H, W) to what the algorithm's
            loss takes; :class:`MixImages` for MixMAE.
        **kwargs: of MMEngine's ``ImgDataPreprocessor`` (``mean``, ``std``, ``bgr_to_rgb``, ...).

    Raises:
        ValueError: ``rgb_to_bgr``: encoders and teachers here read RGB.
    """

    def __init__(self, batch_transform: dict | Callable | None = None, **kwargs: Any) -> None:
        if kwargs.get("rgb_to_bgr"):
            raise ValueError(
                "MixDataPreprocessor: rgb_to_bgr=True, but encoders and teachers read RGB; use"
                " bgr_to_rgb=True for images loaded as BGR"
            )
        super().__init__(**kwargs)
        self.batch_transform: Callable | None = (
            TRANSFORMS.build(batch_transform)
            if isinstance(batch_transform, dict)
            else batch_transform
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise ``data['inputs']``; in training, also mix it. Other entries pass unchanged."""
        data = super().forward(data, training)
        if training and self.batch_transform is not None:
            data["inputs"] = self.batch_transform(data["inputs"])
        return data
