"""Frozen teachers with their losses, for any algorithm."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..errors import ConfigError
from ..heads import MimicHead
from ..number_checks import check_integer, check_not_negative
from ..registry import MODELS, SCOPE
from ..targets import TeacherOutput

_NO_NAMES = frozenset(dir(nn.ModuleDict()))  # of modules that a ModuleDict may contain


@MODELS.register_module()
class Mimic(BaseModule):
    """Frozen teacher with the loss of the student that mimics it (MR-MAE, arXiv 2303.05475).

    Args:
        target_generator: config of the teacher, such as :class:`OpenCLIPTarget`.
        in_channels: channels D of the student's tokens; set by the algorithm.
        distance: see :class:`MimicHead`.
        fusion_layers: index of the student's intermediate layer to fuse, counted from 0, or a list
            of indices.
        weight: factor of the loss.
        grid_scale: ratio of the teacher's grid to the student's grid. The teacher's features are
            averaged over the cells of the student's grid. With 2, a stride-16 teacher guides a
            stride-32 student.
        init_cfg: MMEngine's.

    Raises:
        ValueError: ``weight`` is not a number of at least 0, ``grid_scale`` is not an integer of at
            least 1, or ``fusion_layers`` are no integers.
    """

    def __init__(
        self,
        target_generator: dict,
        in_channels: int,
        distance: str = "mse",
        fusion_layers: int | Sequence[int] = (),
        weight: float = 1.0,
        grid_scale: int = 1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_not_negative("Mimic", "weight", weight)
        grid_scale = check_integer("Mimic", "grid_scale", grid_scale)
        self.target_generator = MODELS.build(target_generator)
        self.fusion_layers = _layer_indices(fusion_layers)
        self.weight = weight
        self.grid_scale = grid_scale
        self.head = MimicHead(
            in_channels, self.target_generator.out_channels, distance, len(self.fusion_layers)
        )

    @torch.no_grad()
    def teacher_features(
        self, pixels: Tensor, grid: tuple[int, int], with_attention: bool = False
    ) -> TeacherOutput:
        """Compute the teacher's features of RGB images in [0, 1] (B, 3, H, W).

        Args:
            pixels: images (B, 3, H, W).
            grid: student's token grid (h, w), on which features and attention are returned.
            with_attention: also compute the teacher's [CLS] attention.

        Raises:
            ValueError: the number of the teacher's tokens does not match the grid.
        """
        scale = self.grid_scale
        fine = (grid[0] * scale, grid[1] * scale)
        features, attention = self.target_generator(pixels, fine, with_attention)
        if features.shape[1] != fine[0] * fine[1]:
            raise ValueError(
                f"Mimic: the teacher {type(self.target_generator).__name__} returns"
                f" {features.shape[1]} tokens per image, but the student's grid of"
                f" {grid[0]}x{grid[1]} with grid_scale={scale} requires {fine[0] * fine[1]}; set"
                " grid_scale to the ratio of the two strides, or choose a teacher whose grid"
                " follows the student's"
            )
        if scale > 1:
            features = _average(features, fine, scale)
            if attention is not None:
                attention = _average(attention[..., None], fine, scale).squeeze(-1) * scale**2
        return TeacherOutput(features, attention)

    def forward(
        self, tokens: Tensor, features: Tensor, intermediates: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """Compute the weighted loss.

        Args:
            tokens: student's tokens (B, V, D).
            features: teacher's features of the same tokens (B, V, D').
            intermediates: student's tokens (B, V, D) after each of the ``fusion_layers``.
        """
        return self.weight * self.head(tokens, features, intermediates)


def used_mimics(owner: str, mimics: Mapping[str, dict | None] | None) -> dict[str, Any]:
    """Return the configs of mimics without None, which removes one that a base config lists.

    Args:
        owner: class name of the algorithm, for messages.
        mimics: configs of :class:`Mimic` by name, or None.

    Raises:
        ConfigError: ``mimics`` or one of its entries is no dict, or a name cannot be that of a
            module.
    """
    if not isinstance(mimics, Mapping | None):
        raise ConfigError(
            f"{owner}: mimics={mimics!r} must be a dict of configs of mim_plugins.Mimic by name, or"
            " None"
        )
    used = {name: cfg for name, cfg in (mimics or {}).items() if cfg is not None}
    for name, cfg in used.items():
        if not isinstance(cfg, Mapping):
            raise ConfigError(
                f"{owner}: mimics[{name!r}]={cfg!r} must be a config of mim_plugins.Mimic, such as"
                " dict(target_generator=...), or None"
            )
        if not isinstance(name, str) or not name or "." in name or name in _NO_NAMES:
            raise ConfigError(
                f"{owner}: mimics[{name!r}]: the name must be a string without dots that is no"
                " attribute of torch.nn.ModuleDict; choose another one, such as 'dino'"
            )
    return used


def build_mimics(mimics: Mapping[str, dict] | None, in_channels: int) -> nn.ModuleDict:
    """Build the named :class:`Mimic` modules for student tokens with ``in_channels`` channels."""
    defaults = dict(type=f"{SCOPE}.Mimic", in_channels=in_channels)
    return nn.ModuleDict(
        {name: MODELS.build({**defaults, **cfg}) for name, cfg in (mimics or {}).items()}
    )


def mimic_loss_name(name: str, mimics: nn.ModuleDict) -> str:
    """Return ``loss_mimic``, with the name of the mimic appended if there are several."""
    return "loss_mimic" if len(mimics) == 1 else f"loss_mimic_{name}"


def denormalize_images(images: Tensor, preprocessor: Any) -> Tensor:
    """Undo the normalization of the preprocessor: RGB in [0, 1] of the same shape.

    Raises:
        ValueError: the preprocessor has no ``mean`` or no ``std``.
    """
    if not hasattr(preprocessor, "mean") or not hasattr(preprocessor, "std"):
        raise ValueError(
            "teachers need pixel values in [0, 1]: set mean and std of the data_preprocessor, from"
            " which the normalization is undone"
        )
    return (images * preprocessor.std + preprocessor.mean) / 255


def _average(tokens: Tensor, grid: tuple[int, int], scale: int) -> Tensor:
    """Average the tokens (B, L, D) of ``grid`` over cells of ``scale`` x ``scale``."""
    maps = tokens.transpose(1, 2).unflatten(2, grid)
    return F.avg_pool2d(maps, scale).flatten(2).transpose(1, 2)


def _layer_indices(layers: int | Sequence[int]) -> tuple[int, ...]:
    """Return ``fusion_layers`` as a tuple."""
    is_list = isinstance(layers, Sequence) and not isinstance(layers, str)
    given: tuple[Any, ...] = tuple(layers) if is_list else (layers,)  # type: ignore[arg-type]
    if not all(isinstance(layer, int) and not isinstance(layer, bool) for layer in given):
        raise ConfigError(
            f"Mimic: fusion_layers={layers!r} must be the index of a layer of the student, a list"
            " of indices, or () for none"
        )
    return given
