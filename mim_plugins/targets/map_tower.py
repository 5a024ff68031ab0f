"""Tower around a convolutional or hierarchical model."""

from typing import Any

import torch
from torch import Tensor, nn

from .timm_tower import TimmTower, has_token_grid
from .tower import Tower, resolve_block_index

_OPEN_CLIP_RESNET_STRIDES = (4, 4, 8, 16, 32)  # of the stem and the four layers


class MapTower(Tower):
    """Feature map of a stage: ConvNeXt, ResNet, Swin, Hiera, EfficientNet, MobileCLIP and others.

    The cells of the map are the tokens, and the stride of the stage is the patch size. These
    models have no [CLS] attention. The last stage is followed by the final norm of the model where
    timm's ``forward_intermediates`` applies one.

    Args:
        trunk: model of timm or open_clip with ``forward_intermediates``.
        features: ``'norm'`` for the last stage, or the index of a stage, counted from 0, or from
            -1 for the last, for its output without norm.
        strides: strides of the stages in pixels.
        image_size: native size (H, W) of the images in pixels.
        name: name of the model in error messages.
        norm_options: options of ``forward_intermediates`` for ``'norm'``.

    Raises:
        ValueError: there is no such stage, or its map has not the size that its stride gives.
    """

    has_cls_attention = False

    def __init__(
        self,
        trunk: Any,
        features: int | str,
        strides: tuple[int, ...],
        image_size: tuple[int, int],
        name: str,
        norm_options: dict[str, bool] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.stage = resolve_block_index(features, len(strides), ("norm",), "stages")
        self.patch_size = strides[self.stage]
        self.options = norm_options or {} if isinstance(features, str) else {}
        self.trunk = trunk.eval()
        self.grid = (image_size[0] // self.patch_size, image_size[1] // self.patch_size)
        self.out_channels = self._try_grid(self.grid)

    def forward(self, images: Tensor, with_attention: bool) -> tuple[Tensor, Tensor | None]:
        """See :class:`Tower`."""
        return self._map(images).flatten(2).transpose(1, 2), None

    def resize(self, grid: tuple[int, int]) -> None:
        """Change the input size, by timm's ``set_input_size`` where the model has one.

        Raises:
            ValueError: the model does not give this grid.
        """
        if hasattr(self.trunk, "set_input_size"):
            size = (grid[0] * self.patch_size, grid[1] * self.patch_size)
            self.trunk.set_input_size(img_size=size)
        self._try_grid(grid)
        self.grid = grid

    def _map(self, images: Tensor) -> Tensor:
        """Return the feature map (B, D, h, w) of the stage."""
        maps = self.trunk.forward_intermediates(
            images, indices=[self.stage], intermediates_only=True, **self.options
        )
        return (maps["image_intermediates"] if isinstance(maps, dict) else maps)[0]

    @torch.no_grad()
    def _try_grid(self, grid: tuple[int, int]) -> int:
        """Process an empty image, and return the channels of the map if it has this ``grid``."""
        size = (grid[0] * self.patch_size, grid[1] * self.patch_size)
        tensor = next(self.trunk.parameters())
        image = torch.zeros(1, 3, *size, dtype=tensor.dtype, device=tensor.device)
        try:
            try:
                shape = self._map(image).shape
            except AssertionError:  # Hiera's norm follows the pooling, so timm refuses to apply it
                self.options = {}
                shape = self._map(image).shape
            if shape[2:] == grid:
                return shape[1]
            cause = f"it gives {shape[2]}x{shape[3]}"
        except Exception as error:  # each model fails in its own way at a size it does not accept
            cause = f"{type(error).__name__}: {str(error)[:160]}"
        raise ValueError(
            f"model_name='{self.name}': stage {self.stage} with stride {self.patch_size} does not"
            f" give a grid of {grid[0]}x{grid[1]} for images of {size[0]}x{size[1]} ({cause}); use"
            " another stage, another model, or images of the student for which the grid fits"
        )


def timm_tower(
    trunk: Any, features: int | str, name: str, projection: nn.Module | None = None
) -> Tower:
    """Return the tower around a timm model: of its patch tokens, or of a stage's feature map.

    Stages are those of timm's ``features_only``.

    Raises:
        ValueError: the model has neither; see also :class:`TimmTower` and :class:`MapTower`.
    """
    if has_token_grid(trunk):
        return TimmTower(trunk, features, name, projection)
    stages = getattr(trunk, "feature_info", None)
    if not stages or not hasattr(trunk, "forward_intermediates"):
        raise no_map_error(trunk, name)
    strides = tuple(stage["reduction"] for stage in stages)
    stage = resolve_block_index(features, len(strides), ("norm",), "stages")
    if hasattr(trunk, "prune_intermediate_layers"):
        trunk.prune_intermediate_layers([stage], prune_norm=features != "norm", prune_head=True)
    return MapTower(trunk, features, strides, _image_size(trunk), name, {"norm": True})


def open_clip_resnet_tower(visual: Any, features: int | str, name: str) -> Tower:
    """Return the tower around CLIP's ResNet, before its attention pooling."""
    visual.attnpool = nn.Identity()
    size = visual.image_size
    image_size = size if isinstance(size, tuple) else (size, size)
    return MapTower(visual, features, _OPEN_CLIP_RESNET_STRIDES, image_size, name)


def _image_size(trunk: Any) -> tuple[int, int]:
    """Return the image size (H, W) of a timm model, also where it was built with another one."""
    built = getattr(getattr(trunk, "patch_embed", None), "img_size", None)
    return built if isinstance(built, tuple) else tuple(trunk.pretrained_cfg["input_size"][1:])


def no_map_error(model: Any, name: str) -> ValueError:
    """Return the error for a model that gives no features for each place of the image."""
    return ValueError(
        f"model_name='{name}' ({type(model).__name__}) has no grid of patch tokens and no feature"
        " maps; use a model such as 'vit_base_patch16_224.dino' or 'convnext_base.fb_in22k' in"
        " timm, or 'ViT-B-16' or 'RN50' in open_clip"
    )
