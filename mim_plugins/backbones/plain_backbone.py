"""Base of plain encoders: Transformer blocks on visible tokens or on all tokens."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..layers import (
    TransformerBlock,
    checkpointed_forward,
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
    windowed_forward,
)
from ..masking import TokenMask, gather_tokens
from ..number_checks import check_above_0
from .arguments import check_pooled_output, check_windows
from .base_backbone import BaseBackbone
from .encoded_tokens import EncodedTokens

_NORM_EPS = 1e-6


class PlainBackbone(BaseBackbone):
    """Base of encoders whose Transformer blocks process only the visible tokens in pre-training.

    ``forward_masked`` encodes the visible tokens, for pre-training. ``forward`` encodes unmasked
    images of any size, for transfer.

    A subclass lists its sizes in ``arch_settings`` (keys ``'depth'``, ``'embed_dims'`` and
    ``'num_heads'``), adds a module ``patch_embed``, implements :meth:`embed`, and ends its
    constructor with :meth:`post_init`.

    Args:
        mlp_ratio: width of the MLPs relative to the tokens, unless ``arch`` sets ``'mlp_ratios'``.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        with_cls_token: prepend a learned [CLS] token to the sequence.
        learn_pos_embed: train the sine-cosine position embedding. By default it is fixed.
        window_size: in ``forward``, attend in windows of this side, in tokens, for large images;
            None attends over the whole image, with the same weights; see :func:`windowed_forward`.
        global_blocks: indices of the Transformer blocks that attend over the whole image despite
            ``window_size``. ViTDet has four, evenly spaced.
        **kwargs: see :class:`BaseBackbone`. ``out_indices`` selects blocks; the output of the last
            one passes the last LayerNorm. ``out_type='avg_featmap'`` pools only that, and a
            separate LayerNorm follows the pooling, as in the fine-tuning of MAE. ``frozen_stages``
            freezes the embeddings with 0, and also the first n blocks with n.

    Raises:
        ValueError: see :class:`BaseBackbone` and :func:`check_pooled_output`.
    """

    fixed_stages = True
    # Feature maps use norm, pooled features fc_norm, see load_pretrained. The encoder of a file
    # with both normalizes tokens and their mean, so only its maps can be computed here.
    allow_missing: ClassVar[dict[str, str]] = {"fc_norm.": "norm.", "norm.": "fc_norm."}
    allow_unexpected: ClassVar[tuple[str, ...]] = ("fc_norm.",)
    pos_embed: Tensor

    def __init__(
        self,
        *,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        with_cls_token: bool = False,
        learn_pos_embed: bool = False,
        window_size: int | None = None,
        global_blocks: int | Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name, depth = type(self).__name__, self.depths[-1]
        check_above_0(name, "mlp_ratio", mlp_ratio)
        check_pooled_output(name, self.out_type, self.out_indices, self.num_outputs - 1)
        self.window_size = window_size
        self.global_blocks = check_windows(name, window_size, global_blocks, depth)
        self.embed_dims = dim = self.stage_channels[-1]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if with_cls_token else None
        self.num_prefix_tokens = 1 if with_cls_token else 0
        grid = self.stages_info()[-1].grid
        positions = sincos_position_embedding(dim, grid)
        if learn_pos_embed:
            self.pos_embed = nn.Parameter(positions)
        else:
            self.register_buffer("pos_embed", positions)
        self.register_load_state_dict_pre_hook(resize_on_load("pos_embed"))
        heads = self.settings["num_heads"]
        mlp_ratio = self.settings.get("mlp_ratios", (mlp_ratio,))[-1]
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, heads, mlp_ratio, rate, _NORM_EPS)
            for rate in self.drop_path_rates(drop_path_rate)[-1]
        )
        if self.out_type == "avg_featmap":
            self.fc_norm = nn.LayerNorm(dim, eps=_NORM_EPS)
        else:
            self.norm = nn.LayerNorm(dim, eps=_NORM_EPS)

    @property
    def num_outputs(self) -> int:
        """Number of Transformer blocks, which ``out_indices`` selects from."""
        return self.depths[-1]

    def post_init(self) -> None:
        """Initialize linear layers, norms and [CLS] token, then freeze."""
        super().post_init()
        if self.cls_token is not None:
            nn.init.normal_(self.cls_token, std=0.02)

    def embed(self, images: Tensor, visible: Tensor | None) -> tuple[Tensor, Any]:
        """Embed images without positions.

        Args:
            images: (B, 3, H, W).
            visible: bool (B, 1, h, w), True at visible tokens; None if all are visible. Masked
                pixels must not influence visible tokens.

        Returns:
            Tokens (B, h, w, D), and the maps that :meth:`fuse_conv_stages` adds, or None.
        """
        raise NotImplementedError

    def fuse_conv_stages(self, tokens: Tensor, conv_maps: Any, ids_keep: Tensor) -> Tensor:
        """Add maps of convolution stages to the visible tokens (B, V, D) before the last norm."""
        return tokens

    def parts_to_freeze(self) -> list[nn.Module | nn.Parameter]:
        """Return the embeddings and the first ``frozen_stages`` blocks."""
        return [self.patch_embed, *self._embeddings().values(), *self.blocks[: self.frozen_stages]]

    def forward_masked(
        self, images: Tensor, token_mask: TokenMask, out_indices: Sequence[int] = ()
    ) -> EncodedTokens:
        """Encode the visible tokens; masked ones have no influence.

        Args:
            images: (B, 3, H, W), both sides multiples of ``encoder_stride``.
            token_mask: visible and masked tokens of the grid (H, W) / ``encoder_stride``.
            out_indices: Transformer blocks, counted from 0, whose outputs are also returned.

        Raises:
            ValueError: the images do not match ``encoder_stride`` or the mask.
        """
        stride = self.encoder_stride
        height, width = images.shape[-2:]
        grid = (height // stride, width // stride)
        matches = tuple(token_mask.mask.shape) == (len(images), grid[0] * grid[1])
        if height % stride or width % stride or not matches:
            raise ValueError(
                f"{type(self).__name__}: {len(images)} images of {height}x{width} pixels: both"
                f" sides must be multiples of the encoder stride {stride}, and the mask must be"
                f" ({len(images)}, {grid[0]} * {grid[1]}), but is {tuple(token_mask.mask.shape)}"
            )
        visible = ~token_mask.mask.reshape(-1, 1, *grid)
        tokens, conv_maps = self.embed(images, visible)
        x = gather_tokens(self.add_positions(tokens), token_mask.ids_keep)
        x, intermediates = checkpointed_forward(
            self.blocks, self._prepend_cls_token(x), self.with_cp, out_indices
        )
        num_prefix = self.num_prefix_tokens
        fused = self.fuse_conv_stages(x[:, num_prefix:], conv_maps, token_mask.ids_keep)
        return EncodedTokens(
            self.norm(fused),
            self.norm(x[:, :num_prefix]) if num_prefix else None,
            tuple(each[:, num_prefix:] for each in intermediates),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute features of unmasked images (B, 3, H, W).

        Returns:
            One map (B, D, h, w) per entry of ``out_indices``, or, with
            ``out_type='avg_featmap'``, one pooled feature (B, D) of the last block.
        """
        tokens, _ = self.embed(images, None)
        grid = (tokens.shape[1], tokens.shape[2])
        x, intermediates = self.forward_blocks(self.add_positions(tokens), grid, self.out_indices)
        if self.out_type == "avg_featmap":
            return (self.fc_norm(x.mean(dim=1)),)
        last = len(self.blocks) - 1
        return tuple(
            (self.norm(each) if index == last else each)
            .transpose(1, 2)
            .unflatten(2, grid)
            .contiguous()
            for index, each in zip(self.out_indices, intermediates, strict=True)
        )

    def add_positions(self, tokens: Tensor) -> Tensor:
        """Add position embeddings to tokens (B, h, w, D) and flatten them to (B, L, D)."""
        grid = (tokens.shape[1], tokens.shape[2])
        return (tokens + resize_position_embedding(self.pos_embed, grid)).flatten(1, 2)

    def forward_blocks(
        self, x: Tensor, grid: tuple[int, int], out_indices: Sequence[int] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        """Apply all blocks to the tokens (B, L, D) of ``grid``, in windows if configured.

        Returns:
            Tokens (B, L, D) after the last block, and after each block in ``out_indices``, without
            the [CLS] token.
        """
        x = self._prepend_cls_token(x)
        if self.window_size is None:
            x, intermediates = checkpointed_forward(self.blocks, x, self.with_cp, out_indices)
        else:
            x, intermediates = windowed_forward(
                self.blocks,
                x,
                grid,
                self.window_size,
                self.global_blocks,
                self.with_cp,
                out_indices,
            )
        num_prefix = self.num_prefix_tokens
        return x[:, num_prefix:], [each[:, num_prefix:] for each in intermediates]

    @property
    def num_depths(self) -> int:
        """See :class:`BaseBackbone`."""
        return self.depths[-1] + 2

    def layer_depth(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise learning rates.

        The rule is that of MAE and MCMAE. Embeddings and convolution stages have depth 0,
        Transformer blocks have depths 1, 2, .... The last norm has the depth of the head.
        See :class:`BaseBackbone`.
        """
        part, _, rest = name.partition(".")
        if part == "blocks":
            return int(rest.partition(".")[0]) + 1
        return self.num_depths - 1 if part in ("norm", "fc_norm", "out_norms") else 0

    def no_weight_decay(self) -> set[str]:
        """Return the parameters without weight decay, in addition to biases and norms."""
        return set(self._embeddings())

    def _embeddings(self) -> dict[str, nn.Parameter]:
        """Return [CLS] token and learned position embedding by name, if present."""
        both = dict(cls_token=self.cls_token, pos_embed=self.pos_embed)
        return {name: each for name, each in both.items() if isinstance(each, nn.Parameter)}

    def _prepend_cls_token(self, x: Tensor) -> Tensor:
        if self.cls_token is None:
            return x
        return torch.cat([self.cls_token.to(x.dtype).expand(x.shape[0], -1, -1), x], dim=1)
