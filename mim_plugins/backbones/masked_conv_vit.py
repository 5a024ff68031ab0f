"""Encoder with masked convolution stages before a Vision Transformer.

Papers: MCMAE, also called ConvMAE (arXiv 2205.03892), and MR-MAE (arXiv 2303.05475), which
pre-trains it with teachers ("ConvMAE-v2"). The base size is that of the authors' public code. The
small, large and huge sizes are taken from derived public code, not from the authors' code.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..layers import MaskedConvBlock, PatchEmbed, checkpointed_call
from ..masking import gather_tokens, upsample_mask
from ..registry import MODELS
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
        img_size: side or (H, W), in pixels, for which the position embedding is made.
        in_channels: channels of the images.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        fuse_stages: add projections of the convolution stages to the last tokens, as in
            pre-training. The authors' classification models omit them.
        out_indices: stages (0, 1, 2 at strides 4, 8, 16) whose maps ``forward`` returns. Each has a
            LayerNorm; only that of the last stage is pre-trained.
        frozen_stages: -1 freezes nothing, 0 the first patch embedding, 1 also the first convolution
            stage, 2 also the second patch embedding and convolution stage, 2 + n also the
            embeddings of the Transformer blocks and the first n of them.
        out_type, with_cp, window_size, global_blocks, learn_pos_embed, init_cfg: see
            :class:`PlainBackbone`.

    Raises:
        ValueError: see :class:`BaseBackbone`.
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
        learn_pos_embed: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            arch=arch,
            img_size=img_size,
            encoder_stride=16,
            in_channels=in_channels,
            drop_path_rate=drop_path_rate,
            out_indices=out_indices,
            out_type=out_type,
            with_cp=with_cp,
            window_size=window_size,
            global_blocks=global_blocks,
            frozen_stages=frozen_stages,
            learn_pos_embed=learn_pos_embed,
            init_cfg=init_cfg,
        )
        dims, ratios = self.stage_channels, self.settings["mlp_ratios"]
        rates = self.drop_path_rates(drop_path_rate)
        self.patch_embed1 = PatchEmbed(in_channels, dims[0], 4)
        self.patch_embed2 = PatchEmbed(dims[0], dims[1], 2)
        self.patch_embed3 = PatchEmbed(dims[1], dims[2], 2)
        self.patch_embed4 = nn.Linear(dims[2], dims[2])
        self.stage1 = nn.ModuleList(MaskedConvBlock(dims[0], ratios[0], r) for r in rates[0])
        self.stage2 = nn.ModuleList(MaskedConvBlock(dims[1], ratios[1], r) for r in rates[1])
        self.fuse_stages = fuse_stages
        if fuse_stages:
            self.stage1_output_decode = nn.Conv2d(dims[0], dims[2], 4, 4)
            self.stage2_output_decode = nn.Conv2d(dims[1], dims[2], 2, 2)
        self.out_norms = nn.ModuleDict(
            {str(i): nn.LayerNorm(dims[i]) for i in self.out_indices if i != 2}
        )
        # initialized like a linear layer on the flattened patch, as in MCMAE
        nn.init.xavier_uniform_(self.patch_embed3.proj.weight.flatten(1))
        self.post_init()

    @property
    def num_outputs(self) -> int:
        """Number of stages, which ``out_indices`` selects from."""
        return len(self.depths)

    @property
    def max_frozen_stages(self) -> int:
        """Largest value of ``frozen_stages``: convolution stages and Transformer blocks."""
        return 2 + self.depths[-1]

    def embed(self, images: Tensor, visible: Tensor | None) -> tuple[Tensor, _ConvMaps]:
        """Apply the convolution stages.

        Returns:
            Tokens (B, h, w, D) at stride 16, and the maps of both stages.
        """
        height, width = images.shape[-2:]
        x = F.pad(images, (0, -width % 16, 0, -height % 16))
        x = F.gelu(self.patch_embed1(x)).permute(0, 3, 1, 2)
        stage1 = self._convolve(self.stage1, x, visible, 4)
        x = F.gelu(self.patch_embed2(stage1)).permute(0, 3, 1, 2)
        stage2 = self._convolve(self.stage2, x, visible, 2)
        tokens = self.patch_embed4(F.gelu(self.patch_embed3(stage2)))
        return tokens, _ConvMaps(stage1, stage2)

    def fuse_conv_stages(self, tokens: Tensor, conv_maps: _ConvMaps, ids_keep: Tensor) -> Tensor:
        """Add projections of the convolution stages to the visible tokens (B, V, D)."""
        if not self.fuse_stages:
            return tokens
        return tokens + gather_tokens(self._project(conv_maps), ids_keep)

    def parts_to_freeze(self) -> list[nn.Module | nn.Parameter]:
        """Return the embeddings, convolution stages and blocks up to ``frozen_stages``."""
        parts: list[nn.Module | nn.Parameter] = [self.patch_embed1]
        if self.frozen_stages >= 1:
            parts.append(self.stage1)
        if self.frozen_stages >= 2:
            parts += [self.patch_embed2, self.stage2]
        if self.frozen_stages >= 3:
            parts += [self.patch_embed3, self.patch_embed4, *self._embeddings().values()]
            parts += self.blocks[: self.frozen_stages - 2]
        return parts

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute features of unmasked images (B, 3, H, W) of any size.

        Returns:
            One map (B, C, H', W') per entry of ``out_indices``, at strides 4, 8 and 16, or, with
            ``out_type='avg_featmap'``, one pooled feature (B, D) of the last stage.
        """
        tokens, conv_maps = self.embed(images, None)
        grid = (tokens.shape[1], tokens.shape[2])
        x, _ = self.forward_blocks(self.add_positions(tokens), grid)
        if self.fuse_stages:
            x = x + self._project(conv_maps)
        if self.out_type == "avg_featmap":
            return (self.fc_norm(x.mean(dim=1)),)
        outputs = []
        for index in self.out_indices:
            if index == 2:
                y = self.norm(x).unflatten(1, grid)
            else:
                y = self.out_norms[str(index)](conv_maps[index].permute(0, 2, 3, 1))
            outputs.append(y.permute(0, 3, 1, 2).contiguous())
        return tuple(outputs)

    def _convolve(
        self, blocks: nn.ModuleList, x: Tensor, visible: Tensor | None, factor: int
    ) -> Tensor:
        if visible is not None:
            visible = upsample_mask(visible, factor)
        for block in blocks:
            x = checkpointed_call(block, self.with_cp, x, visible)
        return x

    def _project(self, conv_maps: _ConvMaps) -> Tensor:
        """Project both stages to the token grid and add them: (B, L, D)."""
        total = self.stage1_output_decode(conv_maps.stage1)
        total = total + self.stage2_output_decode(conv_maps.stage2)
        return total.flatten(2).transpose(1, 2)
