"""Encoder without trainable parameters, for linear probes."""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ..checkpoints import pretrained_entries
from ..errors import ConfigError
from ..layers.pooling import pooled_features
from ..registry import MODELS


@MODELS.register_module()
class FrozenBackbone(BaseModule):
    """Pooled features of a frozen encoder, as in the k-NN evaluation.

    Freezing all stages of an encoder would still train its last norm. Here, no parameter requires a
    gradient, and the encoder stays in evaluation mode, without dropout or stochastic depth.

    Args:
        encoder: config of an encoder of this package or of mmpretrain, including its ``init_cfg``.
        init_cfg: MMEngine's, without a checkpoint, which is loaded by that of ``encoder``.

    Raises:
        ConfigError: ``init_cfg`` contains a checkpoint.
    """

    def __init__(self, encoder: dict, init_cfg: dict | list[dict] | None = None) -> None:
        for entry in pretrained_entries(init_cfg):
            raise ConfigError(
                f"FrozenBackbone: init_cfg={dict(entry)} must not be of type 'Pretrained', whose"
                " weights would not reach the encoder; set it as model.backbone.encoder.init_cfg"
            )
        super().__init__(init_cfg)
        self.encoder = MODELS.build(encoder)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "FrozenBackbone":
        """Stay in evaluation mode, regardless of ``mode``."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Compute pooled features (B, D) of images (B, 3, H, W); see :func:`pooled_features`."""
        return (pooled_features(self.encoder, images),)
