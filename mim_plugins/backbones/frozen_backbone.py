"""An encoder of which nothing is trained, for linear probes."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ..layers.pooling import pooled_features
from ..registry import MODELS


@MODELS.register_module()
class FrozenBackbone(BaseModule):
    """Pooled features of a fixed encoder: those that the k-NN evaluation reads.

    Freezing all stages of an encoder would still train its last norm; here no parameter has a
    gradient, and the encoder stays in evaluation mode, without dropout or stochastic depth.

    Args:
        encoder: config of one of this package's or mmpretrain's encoders, with its own
            ``init_cfg``.
        init_cfg: MMEngine's.
    """

    def __init__(self, encoder: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.encoder = MODELS.build(encoder)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "FrozenBackbone":
        """Stay in evaluation mode, whatever ``mode`` is."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Pooled features (B, D) of whole images (B, 3, H, W), see :func:`pooled_features`."""
        return (pooled_features(self.encoder, images),)
