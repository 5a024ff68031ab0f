"""Loss between student tokens and teacher features."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import init_linear_and_norm
from ..number_checks import check_integer
from ..registry import MODELS

_DISTANCES = {
    "mse": lambda prediction, target: F.mse_loss(prediction, target),
    "smooth_l1": lambda prediction, target: F.smooth_l1_loss(prediction, target),
    "cosine": lambda prediction, target: (1 - F.cosine_similarity(prediction, target, -1)).mean(),
}


@MODELS.register_module()
class MimicHead(BaseModule):
    """Feature-mimicking loss of MR-MAE (arXiv 2303.05475, section 3.2).

    A linear layer projects the student's tokens to the width of the teacher. With
    ``num_fusion_layers`` above 0, linear projections of that many intermediate layers, normalized
    without affine weights, are added to the tokens first ("multi-layer fusion"). The public
    material on the paper specifies neither the distance nor the form of the fusion; both are our
    choice.

    Args:
        in_channels: channels D of the student's tokens.
        out_channels: channels D' of the teacher's features.
        distance: ``'mse'``, ``'smooth_l1'`` or ``'cosine'`` (1 - cosine similarity).
        num_fusion_layers: number of intermediate layers to fuse.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``distance`` is unknown, or a number is no integer that is possible.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        distance: str = "mse",
        num_fusion_layers: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if distance not in _DISTANCES:
            raise ValueError(f"MimicHead: distance={distance!r} must be one of {list(_DISTANCES)}")
        check_integer("MimicHead", "in_channels", in_channels)
        check_integer("MimicHead", "out_channels", out_channels)
        check_integer("MimicHead", "num_fusion_layers", num_fusion_layers, 0)
        self.distance = distance
        self.fusion = nn.ModuleList(
            nn.Linear(in_channels, in_channels) for _ in range(num_fusion_layers)
        )
        self.proj = nn.Linear(in_channels, out_channels)
        self.apply(init_linear_and_norm)

    def forward(
        self, tokens: Tensor, target: Tensor, intermediates: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """Compute the mean distance over all tokens, in float32.

        Args:
            tokens: student's tokens (B, V, D).
            target: teacher's features of the same tokens (B, V, D').
            intermediates: the same tokens (B, V, D) after each of the fused layers.
        """
        prediction = self.predict(tokens, intermediates)
        return _DISTANCES[self.distance](prediction.float(), target.float())

    def predict(self, tokens: Tensor, intermediates: tuple[Tensor, ...] = ()) -> Tensor:
        """Predict the teacher's features (B, V, D') from the student's tokens (B, V, D)."""
        for linear, inner in zip(self.fusion, intermediates, strict=True):
            # no norm follows the inner layers, so their scales differ
            tokens = tokens + linear(F.layer_norm(inner, inner.shape[-1:]))
        return self.proj(tokens)
