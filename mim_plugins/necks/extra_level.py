"""Neck that adds a coarser level to a backbone's feature maps."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS


@MODELS.register_module()
class ExtraLevel(BaseModule):
    """Append a level of twice the last one's stride: a strided convolution, norm and GELU.

    The MCMAE authors' segmentation models (arXiv 2205.03892) make stride 32 so, where the encoder
    ends at stride 16.

    Args:
        channels: channels C of the last level and of the new one.
        norm_cfg: mmcv's norm layer.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``channels`` below 1.
    """

    def __init__(
        self, channels: int, norm_cfg: dict | None = None, init_cfg: dict | None = None
    ) -> None:
        # needed here alone: the package is to be imported without mmcv as well
        from mmcv.cnn import ConvModule

        super().__init__(init_cfg)
        if channels < 1:
            raise ValueError(f"ExtraLevel: channels={channels} must be at least 1")
        self.down = ConvModule(
            channels,
            channels,
            3,
            stride=2,
            padding=1,
            norm_cfg=norm_cfg or dict(type="SyncBN"),
            act_cfg=dict(type="GELU"),
        )

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) and one more (B, C, ceil(H / 2), ceil(W / 2)) of the last."""
        return (*levels, self.down(levels[-1]))
