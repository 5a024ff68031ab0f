"""Encoder with masked convolution stages before a Vision Transformer.

Papers: MCMAE, also called ConvMAE (arXiv 2205.03892), and MR-MAE (arXiv 2303.05475), which
pre-trains it with teachers ("ConvMAE-v2"). The base size is that of the authors' public code;
small, large and huge are read from derived public code, not from the authors'.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import MaskedConvBlock, PatchEmbed, run_block
from ..masking import gather_tokens
from ..registry import MODELS
from .arguments import check_frozen_stages, check_in_channels, check_out_indices
from .plain_backbone import PlainBackbone


class _ConvMaps(NamedTuple):
    """Outputs of the two convolution stages (B, C, H, W), at strides 4 and 8."""

    stage1: Tensor
    stage2: Tensor


@MODELS.register_module()
class MaskedConvViT(PlainBackbone):
    """MCMAE encoder: masked convolutions at strides 4 and 8, Transformer blocks at stride 16.

    Args:
        arch: ``'small'``, ``'base'``, ``'large'``, ``'huge'`` (or their first letter) or a dict
            with ``depths``, ``embed_dims`` and ``mlp_ratios`` (three numbers each) and
            ``num_heads``.
        img_size: side or (H, W), in pixels, that the position embedding is made for.
        in_channels: channels of the image.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        fuse_stages: add projections of the convolution stages to the last tokens, as in
            pre-training. The authors' classification models leave it out.
        out_indices: stages (0, 1, 2 at strides 4, 8, 16) whose maps ``forward`` returns, each with
            a LayerNorm; the last stage's is pre-trained.
        frozen_stages: -1 freezes nothing, 0 the first patch embedding, 1 also the first
            convolution stage, 2 also the second one with the embedding before it, 2 + n also the
            embedding before the Transformer blocks and the first n of these.
        out_type, with_cp, window_size, global_blocks, init_cfg: see :class:`PlainBackbone`.

    Raises:
        ValueError: see :class:`PlainBackbone`.
    """

    arch_settings = {
        "small": dict(
            depths=(2, 2, 11), embed_dims=(128, 256, 384), mlp_ratios=(4, 4, 4), num_heads=6
        ),
        "base": dict(
            depths=(2, 2, 11), embed_dims=(256, 384, 768), mlp_ratios=(4, 4, 4), num_heads=12
        ),
        "large": dict(
            depths=(2, 2, 23), embed_dims=(384, 768, 1024), mlp_ratios=(8, 8, 4), num_heads=16
        ),
        "huge": dict(
            depths=(2, 2, 31), embed_dims=(768, 1024, 1280), mlp_ratios=(8, 8, 4), num_heads=16
        ),
    }

    allow_missing = PlainBackbone.allow_missing | {"out_norms.": ""}
    allow_unexpected = (
        *PlainBackbone.allow_unexpected,
        "out_norms.",
        "stage1_output",
        "stage2_output",
    )

    def __init__(
        self,
        arch: str | dict = "base",
        img_size: int | Sequence[int] = 224,
        in_channels: int = 3,
        drop_path_rate: float = 0.0,
        fuse_stages: bool = True,
        out_indices: int | Sequence[int] = (-1,),
        out_type: str = "featmap",
        with_cp: bool = False,
        window_size: int | None = None,
        global_blocks: int | Sequence[int] = (),
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        settings = self.resolve_arch(arch)
        depths, dims, ratios = settings["depths"], settings["embed_dims"], settings["mlp_ratios"]
        steps = max(sum(depths) - 1, 1)
        rates = [drop_path_rate * block / steps for block in range(sum(depths))]
        first, second = depths[0], depths[0] + depths[1]
        super().__init__(
            img_size,
            16,
            dims[2],
            settings["num_heads"],
            ratios[2],
            rates[second:],
            out_type,
            with_cp,
            init_cfg,
            window_size,
            global_blocks,
            frozen_stages,
        )
        self.out_indices = check_out_indices(type(self).__name__, out_indices, 3)
        check_frozen_stages(type(self).__name__, frozen_stages, 2 + depths[2])
        self.in_channels = check_in_channels(type(self).__name__, in_channels)
        self.patch_embed1 = PatchEmbed(in_channels, dims[0], 4)
        self.patch_embed2 = PatchEmbed(dims[0], dims[1], 2)
        self.patch_embed3 = PatchEmbed(dims[1], dims[2], 2)
        self.patch_embed4 = nn.Linear(dims[2], dims[2])
        self.stage1 = nn.ModuleList(MaskedConvBlock(dims[0], ratios[0], r) for r in rates[:first])
        self.stage2 = nn.ModuleList(
            MaskedConvBlock(dims[1], ratios[1], r) for r in rates[first:second]
        )
        self.fuse_stages = fuse_stages
        if fuse_stages:
            self.stage1_output_decode = nn.Conv2d(dims[0], dims[2], 4, 4)
            self.stage2_output_decode = nn.Conv2d(dims[1], dims[2], 2, 2)
        maps = self.out_indices if out_type == "featmap" else ()
        self.out_norms = nn.ModuleDict({str(i): nn.LayerNorm(dims[i]) for i in maps if i != 2})
        # as a linear map of the patch, following MCMAE
        nn.init.xavier_uniform_(self.patch_embed3.proj.weight.flatten(1))
        self._init_weights()

    def embed(self, images: Tensor, visible: Tensor | None) -> tuple[Tensor, _ConvMaps]:
        """Convolution stages: tokens (B, h, w, D) at stride 16 and the stages' maps."""
        height, width = images.shape[-2:]
        x = F.pad(images, (0, -width % 16, 0, -height % 16))
        x = F.gelu(self.patch_embed1(x)).permute(0, 3, 1, 2)
        stage1 = self._convolve(self.stage1, x, visible, 4)
        x = F.gelu(self.patch_embed2(stage1)).permute(0, 3, 1, 2)
        stage2 = self._convolve(self.stage2, x, visible, 2)
        tokens = self.patch_embed4(F.gelu(self.patch_embed3(stage2)))
        return tokens, _ConvMaps(stage1, stage2)

    def fuse(self, tokens: Tensor, extra: _ConvMaps, ids_keep: Tensor) -> Tensor:
        """Add the convolution stages' projections at the visible tokens (B, V, D)."""
        if not self.fuse_stages:
            return tokens
        return tokens + gather_tokens(self._projected(extra), ids_keep)

    def frozen_parts(self) -> list[nn.Module | nn.Parameter]:
        """The first ``frozen_stages`` of: each convolution stage, each Transformer block."""
        parts: list[nn.Module | nn.Parameter] = [self.patch_embed1]
        if self.frozen_stages >= 1:
            parts.append(self.stage1)
        if self.frozen_stages >= 2:
            parts += [self.patch_embed2, self.stage2]
        if self.frozen_stages >= 3:
            parts += [self.patch_embed3, self.patch_embed4, *self.blocks[: self.frozen_stages - 2]]
        return parts

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of whole images (B, 3, H, W) of any size.

        Maps (B, C, H', W') at strides 4, 8, 16, one per ``out_indices``; or, with
        ``out_type='avg_featmap'``, one pooled (B, D) of the last stage.
        """
        tokens, maps = self.embed(images, None)
        x, _ = self._run_blocks(self._add_positions(tokens), (tokens.shape[1], tokens.shape[2]))
        if self.fuse_stages:
            x = x + self._projected(maps)
        if self.out_type == "avg_featmap":
            return (self.fc_norm(x.mean(dim=1)),)
        outputs = []
        for index in self.out_indices:
            if index == 2:
                y = self.norm(x).unflatten(1, tokens.shape[1:3])
            else:
                y = self.out_norms[str(index)](maps[index].permute(0, 2, 3, 1))
            outputs.append(y.permute(0, 3, 1, 2).contiguous())
        return tuple(outputs)

    def _convolve(
        self, blocks: nn.ModuleList, x: Tensor, visible: Tensor | None, factor: int
    ) -> Tensor:
        if visible is not None:
            visible = visible.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        for block in blocks:
            x = run_block(block, self.with_cp, x, visible)
        return x

    def _projected(self, maps: _ConvMaps) -> Tensor:
        """Sum of both stages' projections to the tokens' grid (B, L, D)."""
        total = self.stage1_output_decode(maps.stage1) + self.stage2_output_decode(maps.stage2)
        return total.flatten(2).transpose(1, 2)
