"""What the encoders of masked autoencoders share: Transformer blocks on visible tokens."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..checkpoints import strict_init_cfg
from ..layers import (
    TransformerBlock,
    checkpointed_forward,
    init_linear_and_norm,
    resize_on_load,
    resize_position_embedding,
    run_windowed_blocks,
    sincos_position_embedding,
)
from ..masking import TokenMask, gather_tokens
from .arguments import check_img_size, check_out_type, check_windows, resolve_arch

_NORM_EPS = 1e-6


class EncodedTokens(NamedTuple):
    """What an encoder makes of the visible tokens."""

    tokens: Tensor
    """Visible tokens (B, V, D) after the last LayerNorm, in the order of ``ids_keep``."""
    prefix: Tensor | None
    """The [CLS] token (B, 1, D) after the last LayerNorm, of encoders that have one."""
    levels: tuple[Tensor, ...]
    """Visible tokens (B, V, D) after each Transformer block that was asked for."""


class PlainBackbone(BaseModule):
    """Base of encoders that read only the visible tokens of an image in pre-training.

    ``forward_masked`` is for pre-training; ``forward``, of the subclass, reads whole images of
    any size, for transfer. A subclass names its sizes in ``arch_settings`` and implements
    :meth:`embed`.

    Args:
        img_size: side or (H, W), in pixels, that the position embedding is made for.
        encoder_stride: pixels per token side.
        dim: channels D of the tokens.
        num_heads: attention heads.
        mlp_ratio: width of the feed-forward networks relative to ``dim``.
        drop_path_rates: stochastic depth of each block.
        out_type: ``'featmap'`` for maps (B, C, H, W), ``'avg_featmap'`` for pooled features
            (B, D), with a LayerNorm of their own after pooling, as MAE's fine-tuning has.
        with_cp: gradient checkpointing of every block: less memory, one more forward pass.
        init_cfg: MMEngine's.
        window_size: for large images, ``forward`` attends in windows of this side, in tokens; None
            for the whole image. See :func:`run_windowed_blocks`. The weights are the same.
        global_blocks: the Transformer blocks, counted from 0, that attend over the whole image
            in spite of ``window_size``; none if left out. ViTDet has four, evenly spaced.
        frozen_stages: -1 freezes nothing; the subclass says what else.

    Raises:
        ValueError: ``img_size`` that is not a multiple of the stride, unknown ``out_type``, width
            that the heads do not divide, windows, global blocks or frozen stages that do not exist.
    """

    arch_settings: ClassVar[dict[str, dict]] = {}
    init_cfg: dict | list[dict] | None
    # see load_pretrained: feature maps go through norm, pooled features through fc_norm
    allow_missing: ClassVar[dict[str, str]] = {"fc_norm.": "norm.", "norm.": "fc_norm."}
    allow_unexpected: ClassVar[tuple[str, ...]] = ("fc_norm.", "norm.")
    in_channels: int = 3
    """Channels of the images; a subclass that reads others sets it."""
    pos_embed: Tensor

    def __init__(
        self,
        img_size: int | Sequence[int],
        encoder_stride: int,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        drop_path_rates: Sequence[float],
        out_type: str,
        with_cp: bool,
        init_cfg: dict | None,
        window_size: int | None = None,
        global_blocks: int | Sequence[int] = (),
        frozen_stages: int = -1,
    ) -> None:
        super().__init__(init_cfg)
        name = type(self).__name__
        if dim % num_heads:
            raise ValueError(f"{name}: width {dim} must be a multiple of num_heads={num_heads}")
        self.img_size = check_img_size(name, img_size, encoder_stride)
        self.encoder_stride = encoder_stride
        self.out_type = check_out_type(name, out_type)
        self.with_cp = with_cp
        self.window_size = window_size
        self.global_blocks = check_windows(name, window_size, global_blocks, len(drop_path_rates))
        self.frozen_stages = frozen_stages
        self.embed_dims = dim
        self.cls_token: nn.Parameter | None = None
        grid = (self.img_size[0] // encoder_stride, self.img_size[1] // encoder_stride)
        self.register_buffer("pos_embed", sincos_position_embedding(dim, grid))
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, num_heads, mlp_ratio, rate, _NORM_EPS) for rate in drop_path_rates
        )
        if out_type == "avg_featmap":
            self.fc_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        else:
            self.norm = nn.LayerNorm(dim, eps=_NORM_EPS)

    @classmethod
    def resolve_arch(cls, arch: str | dict) -> dict:
        """The sizes that ``arch`` names.

        Raises:
            ValueError: see :func:`resolve_arch`.
        """
        return resolve_arch(cls.__name__, cls.arch_settings, arch, fixed_stages=True)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, with ``Pretrained`` loaded strictly.

        Raises:
            CheckpointError: the checkpoint cannot be read or does not fit; see
                :func:`load_pretrained`.
        """
        self.init_cfg = strict_init_cfg(self.init_cfg)
        super().init_weights()

    def embed(self, images: Tensor, visible: Tensor | None) -> tuple[Tensor, Any]:
        """Tokens (B, h, w, D) without positions, and what :meth:`fuse` and ``forward`` need.

        ``visible`` (B, 1, h, w) is True at visible tokens; None shows all.
        """
        raise NotImplementedError

    def frozen_parts(self) -> list[nn.Module | nn.Parameter]:
        """What ``frozen_stages`` freezes."""
        raise NotImplementedError

    def fuse(self, tokens: Tensor, extra: Any, ids_keep: Tensor) -> Tensor:
        """Visible tokens (B, V, D) as they go into the last norm."""
        return tokens

    def forward_masked(
        self, images: Tensor, token_mask: TokenMask, levels: Sequence[int] = ()
    ) -> EncodedTokens:
        """Encode the visible tokens; masked ones have no influence.

        Args:
            images: (B, 3, H, W), both sides multiples of ``encoder_stride``.
            token_mask: which tokens are visible, drawn on the (H, W) / ``encoder_stride`` grid.
            levels: Transformer blocks, counted from 0, whose outputs are returned as well.

        Raises:
            ValueError: image and mask do not fit.
        """
        stride = self.encoder_stride
        height, width = images.shape[-2:]
        grid = (height // stride, width // stride)
        fits = tuple(token_mask.mask.shape) == (len(images), grid[0] * grid[1])
        if height % stride or width % stride or not fits:
            raise ValueError(
                f"{len(images)} images of {height}x{width} pixels: both sides must be multiples of"
                f" the encoder stride {stride}, and the mask must be ({len(images)}, {grid[0]} *"
                f" {grid[1]}), but is {tuple(token_mask.mask.shape)}"
            )
        visible = ~token_mask.mask.reshape(-1, 1, *grid)
        tokens, extra = self.embed(images, visible)
        x = gather_tokens(self._add_positions(tokens), token_mask.ids_keep)
        x, kept = checkpointed_forward(self.blocks, self._add_prefix(x), self.with_cp, levels)
        prefix = 0 if self.cls_token is None else 1
        fused = self.fuse(x[:, prefix:], extra, token_mask.ids_keep)
        return EncodedTokens(
            self.norm(fused),
            self.norm(x[:, :prefix]) if prefix else None,
            tuple(level[:, prefix:] for level in kept),
        )

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Depth of a parameter for layer-wise learning rates, and the number of depths.

        Embeddings and convolution stages are 0, Transformer blocks 1, 2, ...; the last norm has
        the head's depth (the rule of MAE and MCMAE).
        """
        parts = param_name.removeprefix(prefix).split(".")
        last = len(self.blocks) + 1
        if parts[0] == "blocks":
            return int(parts[1]) + 1, last + 1
        return (last if parts[0] in ("norm", "fc_norm", "out_norms") else 0), last + 1

    def train(self, mode: bool = True) -> "PlainBackbone":
        """Set training mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def no_weight_decay(self) -> set[str]:
        """Parameters, by their name here, that weight decay spares besides biases and norms."""
        return set() if self.cls_token is None else {"cls_token"}

    def _add_positions(self, tokens: Tensor) -> Tensor:
        """Tokens (B, h, w, D) to a sequence (B, L, D) with position embedding."""
        grid = (tokens.shape[1], tokens.shape[2])
        return (tokens + resize_position_embedding(self.pos_embed, grid)).flatten(1, 2)

    def _run_blocks(
        self, x: Tensor, grid: tuple[int, int], keep: Sequence[int] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """All blocks on whole images (B, P + L, D), in windows if so chosen."""
        if self.window_size is None:
            return checkpointed_forward(self.blocks, x, self.with_cp, keep)
        return run_windowed_blocks(
            self.blocks, x, grid, self.window_size, self.global_blocks, self.with_cp, keep
        )

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for part in self.frozen_parts():
            part.requires_grad_(False)
            if isinstance(part, nn.Module):
                part.eval()

    def _add_prefix(self, x: Tensor) -> Tensor:
        if self.cls_token is None:
            return x
        return torch.cat([self.cls_token.to(x.dtype).expand(x.shape[0], -1, -1), x], dim=1)

    def _init_weights(self) -> None:
        self.apply(init_linear_and_norm)
        if self.cls_token is not None:
            nn.init.normal_(self.cls_token, std=0.02)
        self._freeze()
