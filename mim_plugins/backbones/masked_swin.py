"""Swin Transformer that also reads images mixed from two.

Papers: Swin (arXiv 2103.14030) and MixMAE (arXiv 2205.13137, section 3.3: large windows without
shift, fixed position embedding, attention restricted to tokens of the same image). Sizes and
defaults are those of the MixMAE authors' public code.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth

from ..layers import (
    PatchEmbed,
    PatchMerging,
    WindowAttention,
    WindowLayout,
    feed_forward,
    resize_on_load,
    resize_position_embedding,
    same_group,
    sincos_position_embedding,
)
from ..registry import MODELS
from .hierarchical_backbone import HierarchicalBackbone


class _SwinBlock(nn.Module):
    """Pre-norm window attention and feed-forward network, on tokens kept in windows."""

    def __init__(
        self,
        dim: int,
        window: int,
        num_heads: int,
        shifted: bool,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window, num_heads, qkv_bias, attn_drop_rate, drop_rate)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = feed_forward(dim, int(dim * mlp_ratio), drop_rate)
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    def forward(self, x: Tensor, window: tuple[int, int], allowed: Tensor | None) -> Tensor:
        """Tokens (B, nW, N, C) to (B, nW, N, C)."""
        x = x + self.drop_path(self.attn(self.norm1(x), window, allowed))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class _SwinStage(nn.Module):
    """Optional patch merging, then blocks of one resolution."""

    def __init__(
        self,
        downsample: PatchMerging | None,
        blocks: Sequence[_SwinBlock],
        window: int,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.window = window
        self.with_cp = with_cp
        self.downsample = downsample or nn.Identity()
        self.blocks: Any = nn.ModuleList(blocks)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens (B, H, W, C); ``mask`` (M, H', W') on the grid after down-sampling."""
        x = self.downsample(x)
        grid = (x.shape[1], x.shape[2])
        layout = WindowLayout.fit(grid, self.window)
        x, allowed = layout.partition(x), _permission(layout, mask, x.device)
        for block in self.blocks:
            # blocks without shift share one layout: tokens stay in windows for the whole stage
            wanted = WindowLayout.fit(grid, self.window, block.shifted)
            if layout != wanted:
                x, allowed = wanted.partition(layout.merge(x)), _permission(wanted, mask, x.device)
                layout = wanted
            if self.with_cp and torch.is_grad_enabled():
                x = checkpoint(block, x, layout.window, allowed, use_reentrant=False)
            else:
                x = block(x, layout.window, allowed)
        return layout.merge(x)


def _permission(layout: WindowLayout, mask: Tensor | None, device: torch.device) -> Tensor | None:
    """Which tokens of a window may attend to each other: (M, nW, N, N), None for all."""
    groups = layout.groups(mask, device)
    return None if groups is None else same_group(groups, groups)


@MODELS.register_module()
class MaskedSwin(HierarchicalBackbone):
    """Hierarchical Swin encoder for MixMAE pre-training and for transfer.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'base'``, ``'large'``, ``'huge'`` (or their first letter)
            or a dict with ``embed_dims``, ``depths`` and ``num_heads``, the latter two with one
            entry per stage.
        img_size: side or (H, W), in pixels, that position embedding and windows are made for.
        patch_size: pixels per token side in the first stage.
        in_channels: channels of the image.
        window_size: window side per stage, or one for all. A window larger than the stage's grid
            at ``img_size`` is reduced to the grid.
        shift_windows: shift every second block's windows by half a window, as in Swin.
        mlp_ratio: width of the feed-forward networks relative to their input.
        qkv_bias: add a bias to queries, keys and values.
        drop_rate: dropout after position embedding, projections and feed-forward networks.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        with_cp: gradient checkpointing of every block: less memory, one more forward pass.
        out_indices, out_type, frozen_stages, init_cfg: see :class:`HierarchicalBackbone`.

    Raises:
        ValueError: see :class:`HierarchicalBackbone`.
    """

    arch_settings = {
        "tiny": dict(depths=(2, 2, 6, 2), embed_dims=96, num_heads=(3, 6, 12, 24)),
        "small": dict(depths=(2, 2, 18, 2), embed_dims=96, num_heads=(3, 6, 12, 24)),
        "base": dict(depths=(2, 2, 18, 2), embed_dims=128, num_heads=(4, 8, 16, 32)),
        "large": dict(depths=(2, 2, 18, 2), embed_dims=192, num_heads=(6, 12, 24, 48)),
        "huge": dict(depths=(2, 2, 18, 2), embed_dims=352, num_heads=(11, 22, 44, 88)),
    }

    pos_embed: Tensor

    def __init__(
        self,
        arch: str | dict = "base",
        img_size: int | Sequence[int] = 224,
        patch_size: int = 4,
        in_channels: int = 3,
        window_size: int | Sequence[int] = (14, 14, 14, 7),
        shift_windows: bool = False,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        out_indices: int | Sequence[int] = (-1,),
        out_type: str = "featmap",
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(arch, img_size, patch_size, out_indices, out_type, frozen_stages, init_cfg)
        windows = self.per_stage("window_size", window_size)
        heads = self.settings["num_heads"]
        self.patch_embed = PatchEmbed(in_channels, self.stage_channels[0], patch_size)
        self.register_buffer(
            "pos_embed", sincos_position_embedding(self.stage_channels[0], self.stage_grid(0))
        )
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        self.pos_drop = nn.Dropout(drop_rate)
        for stage, rates in enumerate(self.drop_path_rates(drop_path_rate)):
            dim = self.stage_channels[stage]
            window = min(windows[stage], *self.stage_grid(stage))
            blocks = [
                _SwinBlock(
                    dim,
                    window,
                    heads[stage],
                    shifted=shift_windows and index % 2 == 1,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    drop_rate=drop_rate,
                    attn_drop_rate=attn_drop_rate,
                    drop_path_rate=rate,
                )
                for index, rate in enumerate(rates)
            ]
            downsample = PatchMerging(self.stage_channels[stage - 1], dim) if stage else None
            self.stages.append(_SwinStage(downsample, blocks, window, with_cp))
        self.finish()

    def embedding_modules(self) -> list[nn.Module]:
        """Patch embedding and the dropout after it."""
        return [self.patch_embed, self.pos_drop]

    def embed(self, images: Tensor) -> Tensor:
        """Patch and position embedding: images (B, 3, H, W) to tokens (B, H', W', C)."""
        x = self.patch_embed(images)
        return self.pos_drop(
            x + resize_position_embedding(self.pos_embed, (x.shape[1], x.shape[2]))
        )
