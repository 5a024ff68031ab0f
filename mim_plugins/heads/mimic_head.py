"""Loss between student tokens and teacher features."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import init_linear_and_norm
from ..registry import MODELS

_DISTANCES = {
    "mse": lambda prediction, target: F.mse_loss(prediction, target),
    "smooth_l1": lambda prediction, target: F.smooth_l1_loss(prediction, target),
    "cosine": lambda prediction, target: (1 - F.cosine_similarity(prediction, target, -1)).mean(),
}


@MODELS.register_module()
class MimicHead(BaseModule):
    """Mimic loss of MR-MAE (arXiv 2303.05475, section 3.2).

    The student's tokens are projected linearly to the teacher's width. With ``num_levels`` above
    0, linear maps of as many intermediate layers, normalized without affine weights, are added
    first ("multi-layer fusion"). The paper's public record settles neither the distance nor the
    form of the fusion: both are ours.

    Args:
        in_channels: channels D of the student's tokens.
        out_channels: channels of the teacher's features.
        distance: ``'mse'``, ``'smooth_l1'`` or ``'cosine'`` (1 - cosine similarity).
        num_levels: intermediate layers to fuse.
        init_cfg: MMEngine's.

    Raises:
        ValueError: unknown ``distance``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        distance: str = "mse",
        num_levels: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if distance not in _DISTANCES:
            raise ValueError(f"MimicHead: distance={distance!r} must be one of {list(_DISTANCES)}")
        self.distance = distance
        self.fusion = nn.ModuleList(nn.Linear(in_channels, in_channels) for _ in range(num_levels))
        self.proj = nn.Linear(in_channels, out_channels)
        self.apply(init_linear_and_norm)

    def forward(self, tokens: Tensor, target: Tensor, levels: tuple[Tensor, ...] = ()) -> Tensor:
        """Mean distance of all tokens, computed in float32.

        Args:
            tokens: student's tokens (B, V, D).
            target: teacher's features of the same tokens (B, V, out_channels).
            levels: the same tokens (B, V, D) after earlier layers.
        """
        return _DISTANCES[self.distance](self.predict(tokens, levels).float(), target.float())

    def predict(self, tokens: Tensor, levels: tuple[Tensor, ...] = ()) -> Tensor:
        """The teacher's features (B, V, out_channels) as the student's tokens tell them."""
        for linear, level in zip(self.fusion, levels, strict=True):
            # unlike the last tokens, inner layers have no norm behind them and differ in scale
            tokens = tokens + linear(F.layer_norm(level, level.shape[-1:]))
        return self.proj(tokens)
