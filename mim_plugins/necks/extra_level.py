"""Neck that appends a coarser level to the feature maps of a backbone."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS
from .level_size import check_last_level


@MODELS.register_module()
class ExtraLevel(BaseModule):
    """Additional level at twice the stride of the last one: strided convolution, norm, GELU.

    The segmentation models of the MCMAE authors (arXiv 2205.03892) compute their level at stride 32
    in this way, because the encoder ends at stride 16. As in their code, the 3x3 convolution has no
    padding. Its bias is left out, because the norm after it subtracts the mean.

    Args:
        channels: channels C of the last level and of the new one.
        norm_cfg: config of mmcv's norm layer; SyncBN by default.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``channels`` is below 1.
    """

    def __init__(
        self, channels: int, norm_cfg: dict | None = None, init_cfg: dict | None = None
    ) -> None:
        # imported here because the package works without mmcv
        from mmcv.cnn import ConvModule

        super().__init__(init_cfg)
        if channels < 1:
            raise ValueError(f"ExtraLevel: channels={channels} must be at least 1")
        self.down = ConvModule(
            channels,
            channels,
            3,
            stride=2,
            norm_cfg=norm_cfg or dict(type="SyncBN"),
            act_cfg=dict(type="GELU"),
        )

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Append a map (B, C, (H - 1) // 2, (W - 1) // 2) to the maps (B, C_i, H_i, W_i).

        Raises:
            ValueError: the last map is smaller than 3 x 3.
        """
        check_last_level("ExtraLevel", levels[-1], 3)
        return (*levels, self.down(levels[-1]))
