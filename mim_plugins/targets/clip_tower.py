"""Tower around the vision transformer of open_clip."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from .cls_attention import SDPARecorder, cls_attention_weights, patch_attention
from .tower import Tower, resolve_block_index


class ClipTower(Tower):
    """Patch tokens of ``open_clip.transformer.VisionTransformer``.

    Args:
        visual: vision transformer; the blocks after the features are removed from it.
        features: ``'projection'`` (last norm, then projection to the space shared with text),
            ``'norm'`` (last norm) or the index of a block.

    Raises:
        ValueError: the tower lacks the features.
    """

    def __init__(self, visual: Any, features: int | str) -> None:
        super().__init__()
        if visual.attn_pool is not None and not isinstance(features, int):
            raise ValueError(
                f"features={features!r}: norm and projection of this teacher come after attention"
                " pooling, where no token grid is left; use the index of a block, such as -1"
            )
        depth = len(visual.transformer.resblocks)
        feature_names = ("norm",) if visual.proj is None else ("projection", "norm")
        self.block = resolve_block_index(features, depth, feature_names)
        self.norm, self.project = isinstance(features, str), features == "projection"
        visual.prune_intermediate_layers(
            [self.block], prune_norm=not self.norm, prune_head=not self.project
        )
        visual.attn_pool = visual.attn_pool_contrastive = None
        self.visual = visual
        self.patch_size = visual.patch_size[0]
        self.grid = tuple(visual.grid_size)
        self.out_channels = visual.proj.shape[1] if self.project else visual.conv1.out_channels
        attention = visual.transformer.resblocks[-1].attn
        # scaled cosine attention is not fused, so its weights cannot be recorded
        self.has_cls_attention = getattr(attention, "logit_scale", None) is None

    def forward(self, images: Tensor, with_attention: bool) -> tuple[Tensor, Tensor | None]:
        """See :class:`Tower`."""
        if not with_attention:
            return self._features(images), None
        attention: Any = self.visual.transformer.resblocks[-1].attn
        if isinstance(attention, nn.MultiheadAttention):
            inputs: list[Tensor] = []
            with attention.register_forward_pre_hook(lambda _, given: inputs.append(given[0])):
                features = self._features(images)
            weights = cls_attention_weights(attention, inputs[0])
        else:
            with SDPARecorder() as recorder:
                features = self._features(images)
            weights = recorder.cls_attention_weights()
        return features, patch_attention(weights, num_prefix_tokens=1)

    def _features(self, images: Tensor) -> Tensor:
        output = self.visual.forward_intermediates(
            images,
            indices=[self.block],
            normalize_intermediates=self.norm,
            intermediates_only=True,
            output_fmt="NLC",
        )
        tokens = output["image_intermediates"][0]  # (B, L, C)
        return tokens @ self.visual.proj if self.project else tokens

    def blocks(self) -> Iterable[nn.Module]:
        """See :class:`Tower`."""
        return self.visual.transformer.resblocks

    def resize(self, grid: tuple[int, int]) -> None:
        """Resize the position embedding as open_clip does when it loads other image sizes."""
        from timm.layers import resample_abs_pos_embed  # open_clip depends on timm

        resized = resample_abs_pos_embed(
            self.visual.positional_embedding[None],
            new_size=list(grid),
            old_size=list(self.grid),
            num_prefix_tokens=1,
        )
        self.visual.positional_embedding = nn.Parameter(resized[0], requires_grad=False)
        self.visual.grid_size = self.grid = grid
