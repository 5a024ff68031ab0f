"""Feature pyramid from the last feature map of a plain Vision Transformer."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

from ..registry import MODELS

_NORM_EPS = 1e-6


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Neck of ViTDet (arXiv 2203.16527, section 3), which derives all levels from one map.

    A level of scale 2**n with n > 0 is upsampled by n transposed convolutions of stride 2, with
    LayerNorm and GELU between them. Each of them halves the number of channels. A level with n < 0
    is max-pooled -n times. A 1x1 and a 3x3 convolution to ``out_channels`` follow, each with a
    LayerNorm.

    Args:
        in_channels: channels C of the encoder's map.
        out_channels: channels of each level.
        num_outs: number of levels returned. Levels beyond ``scale_factors`` are subsampled by 2
            from the level before, as in FPN.
        scale_factors: size of each level relative to the map, finest first. For a map of stride
            16, the default yields the strides 4, 8, 16 and 32.
        init_cfg: MMEngine's.

    Raises:
        ValueError: a scale is not a power of 2, ``in_channels`` cannot be halved for the finest
            level, or ``num_outs`` is below the number of scales.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        num_outs: int = 5,
        scale_factors: Sequence[float] = (4, 2, 1, 0.5),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        exponents = [math.log2(scale) if scale > 0 else math.nan for scale in scale_factors]
        if not exponents or not all(exponent.is_integer() for exponent in exponents):
            raise ValueError(
                f"SimpleFeaturePyramid: scale_factors={tuple(scale_factors)} must be powers of 2,"
                " such as (4, 2, 1, 0.5)"
            )
        if num_outs < len(exponents):
            raise ValueError(
                f"SimpleFeaturePyramid: num_outs={num_outs} must be at least"
                f" {len(exponents)}, the number of scale_factors"
            )
        finest = 2 ** max(0, int(max(exponents)))
        if in_channels % finest:
            raise ValueError(
                f"SimpleFeaturePyramid: in_channels={in_channels} must be a multiple of"
                f" {finest}, because the finest level halves the channels at each upsampling step"
            )
        self.num_outs = num_outs
        self.levels = nn.ModuleList(
            _level(in_channels, out_channels, int(exponent)) for exponent in exponents
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute ``num_outs`` maps (B, out_channels, H', W') from one map (B, C, H, W).

        Raises:
            ValueError: ``maps`` contains more than one map.
        """
        if len(maps) != 1:
            raise ValueError(
                f"SimpleFeaturePyramid takes one map, but the backbone returns {len(maps)}; set its"
                " out_indices to one block"
            )
        outputs = [level(maps[0]) for level in self.levels]
        while len(outputs) < self.num_outs:
            outputs.append(F.max_pool2d(outputs[-1], 1, 2))
        return tuple(outputs)


def _level(in_channels: int, out_channels: int, exponent: int) -> nn.Sequential:
    """Build the layers of a level whose size is ``2**exponent`` times that of the map."""
    layers: list[nn.Module] = []
    channels = in_channels
    for step in range(exponent):
        if step:
            layers += [LayerNorm2d(channels, eps=_NORM_EPS), nn.GELU()]
        layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, 2))
        channels //= 2
    layers += [nn.MaxPool2d(2) for _ in range(-exponent)]
    return nn.Sequential(
        *layers,
        nn.Conv2d(channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels, eps=_NORM_EPS),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels, eps=_NORM_EPS),
    )
