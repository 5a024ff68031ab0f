"""Swin Transformer that also encodes mixed images.

Papers: Swin (arXiv 2103.14030) and MixMAE (arXiv 2205.13137, section 3.3: large windows without
shift, fixed position embedding, attention restricted to tokens of the same image). Sizes and
defaults are those of the MixMAE authors' public code.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from ..layers import (
    PatchEmbed,
    PatchMerging,
    TokenGroups,
    WindowAttention,
    WindowKind,
    WindowPlan,
    WindowPlanner,
    build_mlp,
    checkpointed_call,
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
)
from ..number_checks import check_above_0
from ..registry import MODELS
from .arguments import check_global_blocks, check_rate
from .hierarchical_backbone import HierarchicalBackbone

GLOBAL = "global"


class _SwinBlock(nn.Module):
    """Pre-norm window attention and MLP, on tokens partitioned into windows."""

    def __init__(
        self,
        dim: int,
        window: int,
        num_heads: int,
        shifted: bool,
        attends_globally: bool,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.attends_globally = attends_globally
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window, num_heads, qkv_bias, attn_drop_rate, drop_rate)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = build_mlp(dim, mlp_ratio, drop_rate)
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    @property
    def windows(self) -> WindowKind:
        """The windows of the block."""
        return WindowKind(self.attn.window, self.attends_globally, self.shifted)

    def forward(
        self,
        x: Tensor,
        window: tuple[int, int],
        attn_mask: Tensor | None = None,
        groups: TokenGroups | None = None,
        bias_rows: Tensor | None = None,
    ) -> Tensor:
        """Transform tokens in windows, or sorted by ``groups``; see :class:`WindowAttention`."""
        x = x + self.drop_path(self.attn(self.norm1(x), window, attn_mask, groups, bias_rows))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class _SwinStage(nn.Module):
    """Optional patch merging, followed by blocks of one resolution."""

    def __init__(
        self,
        downsample: PatchMerging | None,
        blocks: Sequence[_SwinBlock],
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.planner = WindowPlanner(tuple(dict.fromkeys(block.windows for block in blocks)))
        self.with_cp = with_cp
        self.downsample = downsample or nn.Identity()
        self.blocks: Any = nn.ModuleList(blocks)

    def forward(self, x: Tensor, plan: tuple[WindowPlan, ...] | None) -> Tensor:
        """Transform tokens (B, H, W, C); ``plan`` is the planner's, or None for unmixed images."""
        x = self.downsample(x)
        grid = (x.shape[1], x.shape[2])
        if plan is None:
            plan = self.planner.unmixed(grid, x.device)
        plans = dict(zip(self.planner.kinds, plan, strict=True))
        windows = plan[0]
        if windows.layout.grid != grid:
            raise ValueError(
                f"MaskedSwin: the plan is for {windows.layout.grid} tokens, but the images have"
                f" {grid}; make it from their mask"
            )
        x = windows.partition(x)
        for block in self.blocks:
            # without shift, blocks of one side share a layout and the tokens stay in windows
            own = plans[block.windows]
            if own.layout != windows.layout:
                x = own.partition(windows.merge(x))
                windows = own
            inputs = (x, own.layout.window, own.attn_mask, own.groups, own.bias_rows)
            x = checkpointed_call(block, self.with_cp, *inputs)
        return windows.merge(x)


@MODELS.register_module()
class MaskedSwin(HierarchicalBackbone):
    """Hierarchical Swin encoder for MixMAE pre-training and for transfer.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'base'``, ``'large'``, ``'huge'`` (or their first letter)
            or a dict with ``embed_dims``, and ``depths`` and ``num_heads`` per stage.
        img_size: side or (H, W), in pixels, for which position embedding and windows are made.
        patch_size: pixels per token side in the first stage.
        window_size: window side per stage, or one for all. It is reduced to the grid of the stage
            at ``img_size`` if that is smaller, as in the authors' code. Loading resizes the biases
            to reduced windows, whereas an encoder made for larger images uses the middle of its
            biases for a small grid. So features of one image and the same weights depend on
            ``img_size``, which should be that of training. With ``'global'``, the stage attends
            over its full grid at any input size. Its biases are made for ``img_size`` and resized
            at run time for larger grids. They take heads * L**2 numbers per block for L tokens: at
            1024 pixels, 32 M in the last stage of Swin-B and 256 M in the stage before it.
        global_blocks: blocks, counted over all stages, that attend over the full grid as well.
        shift_windows: shift the windows of every second block by half a window, as in Swin.
        mlp_ratio: width of the MLPs relative to their input.
        qkv_bias: add a bias to queries, keys and values.
        drop_rate: dropout after position embedding, projections and MLPs.
        attn_drop_rate: dropout of the attention weights.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        in_channels, with_cp, out_indices, out_type, frozen_stages, init_cfg: see the base class.

    Raises:
        ValueError: see :class:`BaseBackbone`.

    Example:
        >>> import torch
        >>> from mim_plugins.backbones import MaskedSwin
        >>> arch = dict(embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 2))
        >>> encoder = MaskedSwin(arch, img_size=64, out_indices=(0, 1, 2, 3))
        >>> [tuple(feature.shape) for feature in encoder(torch.rand(1, 3, 64, 64))]
        [(1, 8, 16, 16), (1, 16, 8, 8), (1, 32, 4, 4), (1, 64, 2, 2)]
        >>> mask = torch.tensor([[[True, False], [False, True]]])  # True = from the partner image
        >>> encoder.forward_mixed(torch.rand(4, 3, 64, 64), mask).shape
        torch.Size([4, 4, 64])
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
        global_blocks: int | Sequence[int] = (),
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
        windows = self.per_stage("window_size", window_size, keyword=GLOBAL)
        name = type(self).__name__
        globally = check_global_blocks(name, global_blocks, sum(self.depths))
        check_above_0(name, "mlp_ratio", mlp_ratio)
        check_rate(name, "drop_rate", drop_rate)
        check_rate(name, "attn_drop_rate", attn_drop_rate)
        self.patch_embed = PatchEmbed(in_channels, self.stage_channels[0], patch_size)
        infos, rates = self.stages_info(), self.drop_path_rates(drop_path_rate)
        embedding = sincos_position_embedding(self.stage_channels[0], infos[0].grid)
        self.register_buffer("pos_embed", embedding)
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        self.pos_drop = nn.Dropout(drop_rate)
        for stage, (_, grid, dim, depth) in enumerate(infos):
            full, first = max(grid), sum(self.depths[:stage])
            window = full if windows[stage] == GLOBAL else min(windows[stage], *grid)
            in_full = [windows[stage] == GLOBAL or first + i in globally for i in range(depth)]
            blocks = [
                _SwinBlock(
                    dim,
                    full if in_full[index] else window,
                    self.settings["num_heads"][stage],
                    shifted=shift_windows and index % 2 == 1,
                    attends_globally=in_full[index],
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    drop_rate=drop_rate,
                    attn_drop_rate=attn_drop_rate,
                    drop_path_rate=rate,
                )
                for index, rate in enumerate(rates[stage])
            ]
            downsample = PatchMerging(infos[stage - 1].channels, dim) if stage else None
            self.stages.append(_SwinStage(downsample, blocks, with_cp))
        self.post_init()

    def parts_to_freeze(self) -> list[nn.Module | nn.Parameter]:
        """Return patch embedding, dropout and the first ``frozen_stages`` stages."""
        return [self.pos_drop, *super().parts_to_freeze()]

    def embed(self, images: Tensor) -> Tensor:
        """Embed patches and positions of images (B, 3, H, W) as tokens (B, H', W', C)."""
        x = self.patch_embed(images)
        grid = (x.shape[1], x.shape[2])
        return self.pos_drop(x + resize_position_embedding(self.pos_embed, grid))
