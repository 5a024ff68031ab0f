"""Swin Transformer that also reads images mixed from two.

Papers: Swin (arXiv 2103.14030) and MixMAE (arXiv 2205.13137, section 3.3: large windows without
shift, fixed position embedding, attention restricted to tokens of the same image). Sizes and
defaults are those of the MixMAE authors' public code.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from ..layers import (
    PatchEmbed,
    PatchMerging,
    TokenGroups,
    WindowAttention,
    WindowLayout,
    build_mlp,
    group_attention_mask,
    prefer_ragged,
    resize_on_load,
    resize_position_embedding,
    run_block,
    sincos_position_embedding,
)
from ..registry import MODELS
from .arguments import check_in_channels
from .hierarchical_backbone import HierarchicalBackbone

GLOBAL = "global"


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
        self.mlp = build_mlp(dim, int(dim * mlp_ratio), drop_rate)
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    def forward(
        self,
        x: Tensor,
        window: tuple[int, int],
        allowed: Tensor | None = None,
        groups: TokenGroups | None = None,
    ) -> Tensor:
        """Tokens in windows, or sorted by ``groups``, to such tokens.

        See :meth:`WindowAttention.forward`.
        """
        x = x + self.drop_path(self.attn(self.norm1(x), window, allowed, groups))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class _SwinStage(nn.Module):
    """Optional patch merging, then blocks of one resolution."""

    def __init__(
        self,
        downsample: PatchMerging | None,
        blocks: Sequence[_SwinBlock],
        window: int,
        attends_globally: bool,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.window = window
        self.attends_globally = attends_globally
        self.with_cp = with_cp
        self.downsample = downsample or nn.Identity()
        self.blocks: Any = nn.ModuleList(blocks)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens (B, H, W, C); ``mask`` (M, H', W') on its grid, on the CPU."""
        x = self.downsample(x)
        grid = (x.shape[1], x.shape[2])
        window = max(grid) if self.attends_globally else self.window
        windows = _Windows(WindowLayout.fit(grid, window), mask, x.device)
        x = windows.cut(x)
        for block in self.blocks:
            # blocks without shift share one layout: tokens stay in windows for the whole stage
            wanted = WindowLayout.fit(grid, window, block.shifted)
            if windows.layout != wanted:
                x = windows.join(x)
                windows = _Windows(wanted, mask, x.device)
                x = windows.cut(x)
            scope = (windows.layout.window, windows.allowed, windows.groups)
            x = run_block(block, self.with_cp, x, *scope)
        return windows.join(x)


class _Windows:
    """Windows of a stage, and who attends to whom in them: groups if they are dense, else pairs."""

    def __init__(self, layout: WindowLayout, mask: Tensor | None, device: torch.device) -> None:
        self.layout = layout
        self.allowed: Tensor | None = None
        self.groups: TokenGroups | None = None
        numbers = layout.groups(mask)
        if mask is not None and numbers is not None:
            self.groups = TokenGroups.of(numbers, device, prefer_ragged(device))
        if numbers is not None and self.groups is None:
            numbers = numbers.to(device, non_blocking=True)
            self.allowed = group_attention_mask(numbers, numbers)  # (M, nW, N, N)

    def cut(self, x: Tensor) -> Tensor:
        """Tokens (B, H, W, C) to windows (B, nW, N, C), or sorted by group (B, nW * N, C)."""
        x = self.layout.partition(x)
        return x if self.groups is None else self.groups.sort(x)

    def join(self, x: Tensor) -> Tensor:
        """What :meth:`cut` made to tokens (B, H, W, C)."""
        return self.layout.merge(x if self.groups is None else self.groups.restore(x))


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
            at ``img_size`` is reduced to the grid. ``'global'`` in place of a side: the stage
            attends over its whole grid, at any input size; its relative position bias is made for
            the grid at ``img_size`` and resized at run time for larger ones. Time and memory grow
            with the square of the tokens: the biases of one block take heads * L**2 numbers, 32 M
            in Swin-B's last stage at 1024 pixels (L = 1024) and 256 M in the one before.
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
        window_size: int | str | Sequence[int | str] = (14, 14, 14, 7),
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
        windows = self.per_stage("window_size", window_size, word=GLOBAL)
        heads = self.settings["num_heads"]
        self.in_channels = check_in_channels(type(self).__name__, in_channels)
        self.patch_embed = PatchEmbed(in_channels, self.stage_channels[0], patch_size)
        self.register_buffer(
            "pos_embed", sincos_position_embedding(self.stage_channels[0], self.stage_grid(0))
        )
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        self.pos_drop = nn.Dropout(drop_rate)
        for stage, rates in enumerate(self.drop_path_rates(drop_path_rate)):
            dim = self.stage_channels[stage]
            attends_globally = windows[stage] == GLOBAL
            grid = self.stage_grid(stage)
            window = max(grid) if attends_globally else min(windows[stage], *grid)
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
            self.stages.append(_SwinStage(downsample, blocks, window, attends_globally, with_cp))
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
