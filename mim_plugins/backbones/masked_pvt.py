"""Pyramid Vision Transformer that also encodes mixed images.

Papers: PVT (arXiv 2102.12122; sizes from its table 1) and MixMAE (arXiv 2205.13137), which
pre-trains PVT among other hierarchical encoders.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from ..layers import (
    Grouping,
    PatchEmbed,
    additive_mask,
    build_mlp,
    checkpointed_call,
    fused_attention,
    group_attention_mask,
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
)
from ..registry import MODELS
from .hierarchical_backbone import HierarchicalBackbone


class _SubsampledAttention(nn.Module):
    """Attention of all tokens to one key per ``ratio`` x ``ratio`` block (PVT, eq. 2)."""

    def __init__(self, dim: int, num_heads: int, ratio: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.ratio = ratio
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        if ratio > 1:
            self.sr = nn.Conv2d(dim, dim, ratio, ratio)
            self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | None) -> Tensor:
        """Apply attention among the tokens (B, H * W, C) of ``grid`` (H, W).

        ``attn_mask`` (M, H * W, H * W / ratio**2) is True where a query may attend to a key, or
        contains floats to add to the scores.
        """
        batch, _, dim = x.shape
        context = x
        if self.ratio > 1:
            context = x.transpose(1, 2).reshape(batch, dim, *grid)
            context = F.pad(context, (0, -grid[1] % self.ratio, 0, -grid[0] % self.ratio))
            context = self.norm(self.sr(context).flatten(2).transpose(1, 2))
        query = self.q(x).reshape(batch, -1, self.num_heads, dim // self.num_heads).transpose(1, 2)
        key, value = (
            self.kv(context)
            .reshape(batch, -1, 2, self.num_heads, dim // self.num_heads)
            .permute(2, 0, 3, 1, 4)
        )
        if attn_mask is not None:
            bools = attn_mask.dtype == torch.bool
            attn_mask = attn_mask[:, None] if bools else attn_mask[:, None].to(query.dtype)
        x = fused_attention(query, key, value, attn_mask)
        return self.proj(x.transpose(1, 2).reshape(batch, -1, dim))


class _PVTBlock(nn.Module):
    """Pre-norm subsampled attention and MLP."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        ratio: int,
        qkv_bias: bool,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = _SubsampledAttention(dim, num_heads, ratio, qkv_bias)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = build_mlp(dim, mlp_ratio)
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    def forward(self, x: Tensor, grid: tuple[int, int], attn_mask: Tensor | None) -> Tensor:
        """Transform tokens (B, H * W, C) without changing their shape."""
        x = x + self.drop_path(self.attn(self.norm1(x), grid, attn_mask))
        return x + self.drop_path(self.mlp(self.norm2(x)))


@dataclass(frozen=True)
class _KeyMask:
    """Planner of a stage: attention mask with one key per ``ratio`` x ``ratio`` tokens."""

    ratio: int

    def __call__(self, mask: Tensor, device: torch.device, _: Grouping) -> Tensor:
        """Return the attention mask (M, H * W, H * W / ratio**2) of a mask (M, H, W)."""
        mask = mask.to(device, non_blocking=True)
        keys = mask[:, :: self.ratio, :: self.ratio].flatten(1)
        return additive_mask(group_attention_mask(mask.flatten(1), keys))


class _PVTStage(nn.Module):
    """Optional patch embedding that halves the grid, position embedding, and blocks."""

    pos_embed: Tensor

    def __init__(
        self,
        downsample: PatchEmbed | None,
        blocks: Sequence[_PVTBlock],
        pos_embed: Tensor,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.planner = _KeyMask(blocks[0].attn.ratio)
        self.with_cp = with_cp
        self.downsample = downsample
        self.blocks: Any = nn.ModuleList(blocks)
        self.register_buffer("pos_embed", pos_embed)
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))

    def forward(self, x: Tensor, attn_mask: Tensor | None) -> Tensor:
        """Transform tokens (B, H, W, C); ``attn_mask`` is that of :class:`_SubsampledAttention`."""
        if self.downsample is not None:
            x = self.downsample(x.permute(0, 3, 1, 2))
        grid = (x.shape[1], x.shape[2])
        x = (x + resize_position_embedding(self.pos_embed, grid)).flatten(1, 2)
        for block in self.blocks:
            x = checkpointed_call(block, self.with_cp, x, grid, attn_mask)
        return x.unflatten(1, grid)


@MODELS.register_module()
class MaskedPVT(HierarchicalBackbone):
    """Hierarchical PVT encoder for MixMAE pre-training and for transfer.

    In the subsampled attention, each key summarizes a block of ``ratio`` x ``ratio`` tokens: a
    convolution whose kernel equals its stride. In every stage, ``ratio`` times the stage's stride
    is the encoder stride (8 * 4 = 4 * 8 = 2 * 16 = 32). A block is therefore exactly one cell of
    the mask, and all of its tokens come from one image. A query attends only to keys of its own
    image, so no information leaks between the images. Patch embeddings do not overlap either. As
    MixMAE does, the stages add fixed sine-cosine position embeddings instead of PVT's learned ones.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'medium'``, ``'large'`` (or their first letter) or a dict
            with ``embed_dims``, ``depths``, ``num_heads`` and ``mlp_ratios``, one entry per stage.
        img_size: side or (H, W), in pixels, for which position embeddings are made.
        patch_size: pixels per token side in the first stage.
        in_channels: channels of the images.
        qkv_bias: add a bias to queries, keys and values.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        with_cp: gradient checkpointing of each block: less memory, one more forward pass.
        out_indices, out_type, frozen_stages, init_cfg: see :class:`BaseBackbone`.

    Raises:
        ValueError: see :class:`BaseBackbone`.
    """

    _widths = dict(embed_dims=(64, 128, 320, 512), num_heads=(1, 2, 5, 8), mlp_ratios=(8, 8, 4, 4))
    arch_settings = {
        "tiny": dict(depths=(2, 2, 2, 2), **_widths),
        "small": dict(depths=(3, 4, 6, 3), **_widths),
        "medium": dict(depths=(3, 4, 18, 3), **_widths),
        "large": dict(depths=(3, 8, 27, 3), **_widths),
    }

    def __init__(
        self,
        arch: str | dict = "small",
        img_size: int | Sequence[int] = 224,
        patch_size: int = 4,
        in_channels: int = 3,
        qkv_bias: bool = True,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        out_indices: int | Sequence[int] = (-1,),
        out_type: str = "featmap",
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            arch=arch,
            img_size=img_size,
            patch_size=patch_size,
            in_channels=in_channels,
            out_indices=out_indices,
            out_type=out_type,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        heads, mlp_ratios = self.settings["num_heads"], self.settings["mlp_ratios"]
        self.patch_embed = PatchEmbed(in_channels, self.stage_channels[0], patch_size)
        infos, rates = self.stages_info(), self.drop_path_rates(drop_path_rate)
        for stage, info in enumerate(infos):
            dim = info.channels
            ratio = 2 ** (len(self.depths) - 1 - stage)
            blocks = [
                _PVTBlock(dim, heads[stage], mlp_ratios[stage], ratio, qkv_bias, rate)
                for rate in rates[stage]
            ]
            downsample = PatchEmbed(infos[stage - 1].channels, dim, 2) if stage else None
            pos_embed = sincos_position_embedding(dim, info.grid)
            self.stages.append(_PVTStage(downsample, blocks, pos_embed, with_cp))
        self.post_init()

    def embed(self, images: Tensor) -> Tensor:
        """Embed the patches of images (B, 3, H, W) as tokens (B, H', W', C)."""
        return self.patch_embed(images)
