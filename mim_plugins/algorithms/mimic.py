"""A teacher and the loss that makes a student mimic it."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from ..heads import MimicHead
from ..registry import MODELS
from ..targets import TeacherOutput


@MODELS.register_module()
class Mimic(BaseModule):
    """One frozen teacher with its head (MR-MAE, arXiv 2303.05475), for any algorithm.

    Args:
        target: config of the target generator, such as :class:`OpenCLIPTarget`.
        in_channels: channels of the student's tokens; given by the algorithm.
        distance: see :class:`MimicHead`.
        levels: intermediate layers of the student to fuse, counted from 0.
        weight: factor of the loss.
        grid_scale: the teacher looks at a grid this many times finer than the student's, and
            its features are averaged over the student's cells. 2 lets a stride-16 teacher guide a
            stride-32 student.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``weight`` below 0 or ``grid_scale`` below 1.
    """

    def __init__(
        self,
        target: dict,
        in_channels: int,
        distance: str = "mse",
        levels: tuple[int, ...] = (),
        weight: float = 1.0,
        grid_scale: int = 1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if weight < 0 or grid_scale < 1:
            raise ValueError(
                f"Mimic: weight={weight} must be at least 0, grid_scale={grid_scale} at least 1"
            )
        self.target = MODELS.build(target)
        self.levels = tuple(levels)
        self.weight = weight
        self.grid_scale = grid_scale
        self.head = MimicHead(in_channels, self.target.out_channels, distance, len(self.levels))

    @torch.no_grad()
    def teacher_features(
        self, pixels: Tensor, grid: tuple[int, int], with_attention: bool = False
    ) -> TeacherOutput:
        """Teacher's features of RGB images in [0, 1] (B, 3, H, W) on the student's ``grid``.

        Raises:
            ValueError: the teacher's tokens are not those of the grid.
        """
        scale = self.grid_scale
        fine = (grid[0] * scale, grid[1] * scale)
        features, attention = self.target(pixels, fine, with_attention)
        if features.shape[1] != fine[0] * fine[1]:
            raise ValueError(
                f"Mimic: the teacher {type(self.target).__name__} gives {features.shape[1]} tokens"
                f" per image, but the student's grid of {grid[0]}x{grid[1]} with"
                f" grid_scale={scale} needs {fine[0] * fine[1]}; set grid_scale to the ratio"
                " of the two strides, or choose a teacher whose grid follows the student's"
            )
        if scale > 1:
            features = _average(features, fine, scale)
            if attention is not None:
                attention = _average(attention[..., None], fine, scale).squeeze(-1) * scale**2
        return TeacherOutput(features, attention)

    def forward(self, tokens: Tensor, features: Tensor, levels: tuple[Tensor, ...] = ()) -> Tensor:
        """Weighted loss between student's tokens (B, V, D) and teacher's features (B, V, D')."""
        return self.weight * self.head(tokens, features, levels)


def _average(tokens: Tensor, grid: tuple[int, int], scale: int) -> Tensor:
    """Mean of the tokens (B, L, D) of ``grid`` over cells of ``scale`` x ``scale``."""
    maps = tokens.transpose(1, 2).unflatten(2, grid)
    return F.avg_pool2d(maps, scale).flatten(2).transpose(1, 2)
