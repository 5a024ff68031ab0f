"""Tower around a plain vision transformer of timm."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ..errors import ConfigError
from .cls_attention import SDPARecorder, patch_attention
from .tower import Tower, output_channels, resolve_block_index

# attributes of plain transformers in timm; its CNNs and hierarchical models lack some of them
_NEEDED = ("blocks", "forward_intermediates", "num_prefix_tokens", "patch_embed", "set_input_size")


class TimmTower(Tower):
    """Patch tokens of a timm model.

    Args:
        trunk: timm model; its head and the blocks after the features are removed from it.
        features: ``'norm'`` (last norm, as in ``forward_features``), ``'projection'`` if one is
            given, or the index of a block.
        name: name of the model in error messages.
        projection: map of the tokens after the last norm to the space shared with text, if any.

    Raises:
        ValueError: the model has no single grid of patch tokens, or lacks the features.
    """

    def __init__(
        self, trunk: Any, features: int | str, name: str, projection: nn.Module | None = None
    ) -> None:
        super().__init__()
        if not has_token_grid(trunk):
            raise ValueError(f"model_name='{name}' ({type(trunk).__name__}) is no plain ViT")
        feature_names = ("norm",) if projection is None else ("projection", "norm")
        self.block = resolve_block_index(features, len(trunk.blocks), feature_names)
        self.norm = isinstance(features, str)
        trunk.prune_intermediate_layers([self.block], prune_norm=not self.norm, prune_head=True)
        self.trunk = trunk
        self.projection = projection if projection and features == "projection" else nn.Identity()
        self.patch_size = trunk.feature_info[0]["reduction"]
        self.grid = tuple(trunk.patch_embed.grid_size)
        self.out_channels = output_channels(self.projection, trunk.num_features)
        attention = getattr(trunk.blocks[-1], "attn", None)
        self.has_cls_attention = trunk.cls_token is not None and hasattr(attention, "fused_attn")
        for module in trunk.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = True  # even where TIMM_FUSED_ATTN=0: attention is read from it

    def forward(self, images: Tensor, with_attention: bool) -> tuple[Tensor, Tensor | None]:
        """See :class:`Tower`."""
        if not with_attention:
            return self._features(images), None
        with SDPARecorder() as recorder:
            features = self._features(images)
        weights = recorder.cls_attention_weights()
        return features, patch_attention(weights, self.trunk.num_prefix_tokens)

    def _features(self, images: Tensor) -> Tensor:
        tokens = self.trunk.forward_intermediates(
            images,
            indices=[self.block],
            norm=self.norm,
            output_fmt="NLC",
            intermediates_only=True,
        )[0]  # (B, L, C)
        return self.projection(tokens)

    def blocks(self) -> Iterable[nn.Module]:
        """See :class:`Tower`."""
        return self.trunk.blocks

    def resize(self, grid: tuple[int, int]) -> None:
        """Resize position embeddings, relative biases and rotary embeddings with timm's method."""
        self.trunk.set_input_size(img_size=(grid[0] * self.patch_size, grid[1] * self.patch_size))
        for parameter in self.trunk.parameters():
            parameter.requires_grad = False
        self.grid = grid


def check_norm(tower: Tower, features: int | str, normalize: bool, name: str) -> None:
    """Check that the features ``'norm'`` of a teacher are normalized.

    Models that average their tokens before the last norm, such as BEiT and EVA-02, have no norm of
    tokens, so timm returns the output of the last block instead.

    Raises:
        ConfigError: the model has no norm, and ``normalize`` is not set.
    """
    if features != "norm" or normalize or not isinstance(tower, TimmTower):
        return
    if isinstance(tower.trunk.norm, nn.Identity):
        raise ConfigError(
            f"features='norm': model_name='{name}' averages its tokens before its norm, so they are"
            " not normalized; set normalize=True, or features=-1 for the output of the last block"
        )


def has_token_grid(trunk: Any) -> bool:
    """Return whether a timm model is a plain vision transformer, with one grid of patch tokens."""
    strides = {stage["reduction"] for stage in getattr(trunk, "feature_info", None) or []}
    return len(strides) == 1 and all(hasattr(trunk, needed) for needed in _NEEDED)
