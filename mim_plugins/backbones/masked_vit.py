"""Vision Transformer that can read the visible tokens only.

Papers: ViT (arXiv 2010.11929), MAE (arXiv 2111.06377). Sizes from their tables.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..registry import MODELS
from .arguments import check_frozen_stages, check_in_channels, check_out_indices
from .plain_backbone import PlainBackbone


@MODELS.register_module()
class MaskedViT(PlainBackbone):
    """Plain ViT encoder for MAE-like pre-training and for transfer.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'base'``, ``'large'``, ``'huge'`` (or their first letter)
            or a dict with ``depth``, ``embed_dims`` and ``num_heads``.
        img_size: side or (H, W), in pixels, that the position embedding is made for.
        patch_size: pixels per token side.
        in_channels: channels of the image.
        mlp_ratio: width of the feed-forward networks relative to the tokens.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        with_cls_token: put a learnt [CLS] token before the sequence, as MAE does.
        out_indices: blocks whose output ``forward`` returns; the last block's goes through the
            last LayerNorm.
        frozen_stages: -1 freezes nothing, 0 the embeddings ([CLS] token included), n also the
            first n blocks.
        out_type, with_cp, window_size, global_blocks, init_cfg: see :class:`PlainBackbone`.

    Raises:
        ValueError: see :class:`PlainBackbone`.
    """

    arch_settings = {
        "tiny": dict(depth=12, embed_dims=192, num_heads=3),
        "small": dict(depth=12, embed_dims=384, num_heads=6),
        "base": dict(depth=12, embed_dims=768, num_heads=12),
        "large": dict(depth=24, embed_dims=1024, num_heads=16),
        "huge": dict(depth=32, embed_dims=1280, num_heads=16),
    }

    def __init__(
        self,
        arch: str | dict = "base",
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        with_cls_token: bool = True,
        out_indices: int | Sequence[int] = (-1,),
        out_type: str = "featmap",
        with_cp: bool = False,
        window_size: int | None = None,
        global_blocks: int | Sequence[int] = (),
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        settings = self.resolve_arch(arch)
        dim, depth = settings["embed_dims"], settings["depth"]
        rates = [drop_path_rate * block / max(depth - 1, 1) for block in range(depth)]
        super().__init__(
            img_size,
            patch_size,
            dim,
            settings["num_heads"],
            mlp_ratio,
            rates,
            out_type,
            with_cp,
            init_cfg,
            window_size,
            global_blocks,
            frozen_stages,
        )
        self.out_indices = check_out_indices(type(self).__name__, out_indices, depth)
        check_frozen_stages(type(self).__name__, frozen_stages, depth)
        self.in_channels = check_in_channels(type(self).__name__, in_channels)
        self.patch_embed = nn.Conv2d(in_channels, dim, patch_size, patch_size)
        # as a linear map of the patch, following MAE
        nn.init.xavier_uniform_(self.patch_embed.weight.flatten(1))
        if with_cls_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self._init_weights()

    def embed(self, images: Tensor, visible: Tensor | None) -> tuple[Tensor, None]:
        """Tokens (B, h, w, D) of images; patches do not overlap, so nothing is to be masked."""
        height, width = images.shape[-2:]
        stride = self.encoder_stride
        images = nn.functional.pad(images, (0, -width % stride, 0, -height % stride))
        return self.patch_embed(images).permute(0, 2, 3, 1), None

    def frozen_parts(self) -> list[nn.Module | nn.Parameter]:
        """Embeddings and the first ``frozen_stages`` blocks."""
        prefix = [] if self.cls_token is None else [self.cls_token]
        return [self.patch_embed, *prefix, *self.blocks[: self.frozen_stages]]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of whole images (B, 3, H, W) of any size.

        Maps (B, D, ceil(H / stride), ceil(W / stride)), one per ``out_indices``; or, with
        ``out_type='avg_featmap'``, one pooled (B, D) of the last block.
        """
        tokens, _ = self.embed(images, None)
        x = self._add_prefix(self._add_positions(tokens))
        grid = (tokens.shape[1], tokens.shape[2])
        x, kept = self._run_blocks(x, grid, self.out_indices)
        prefix = 0 if self.cls_token is None else 1
        if self.out_type == "avg_featmap":
            return (self.fc_norm(x[:, prefix:].mean(dim=1)),)
        last = len(self.blocks) - 1
        return tuple(
            (self.norm(level) if index == last else level)[:, prefix:]
            .transpose(1, 2)
            .unflatten(2, grid)
            .contiguous()
            for index, level in zip(self.out_indices, kept, strict=True)
        )
