"""Neck that appends a max-pooled level to the feature maps of a backbone."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS
from .level_size import check_last_level


@MODELS.register_module()
class PooledLevel(BaseModule):
    """Additional level at twice the stride of the last one, max-pooled in windows of 2 x 2.

    The detectors of the MCMAE authors (arXiv 2205.03892) give it to the feature pyramid network as
    a fourth map, because the encoder ends at stride 16. It has the channels of the last level.
    """

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Append a map (B, C, H // 2, W // 2) to the maps (B, C_i, H_i, W_i).

        Raises:
            ValueError: the last map is smaller than 2 x 2.
        """
        check_last_level("PooledLevel", levels[-1], 2)
        return (*levels, F.max_pool2d(levels[-1], 2))
