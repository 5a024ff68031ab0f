"""Vision Transformer that encodes only the visible tokens in pre-training.

Papers: ViT (arXiv 2010.11929), MAE (arXiv 2111.06377). Sizes from their tables.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..registry import MODELS
from .arguments import check_side
from .plain_backbone import PlainBackbone


@MODELS.register_module()
class MaskedViT(PlainBackbone):
    """Plain ViT encoder for MAE-like pre-training and for transfer.

    Args:
        arch: ``'tiny'``, ``'small'``, ``'base'``, ``'large'``, ``'huge'`` (or their first letter)
            or a dict with ``depth``, ``embed_dims`` and ``num_heads``.
        img_size: side or (H, W), in pixels, for which the position embedding is made.
        patch_size: pixels per token side.
        in_channels: channels of the images.
        mlp_ratio: width of the MLPs relative to the tokens.
        drop_path_rate: stochastic depth, growing linearly from 0 to this rate at the last block.
        with_cls_token: prepend a learned [CLS] token to the sequence, as in MAE.
        out_indices: blocks whose outputs ``forward`` returns. The output of the last block passes
            the last LayerNorm.
        frozen_stages: -1 freezes nothing, 0 the embeddings of patches, positions and [CLS] token, n
            also the first n blocks.
        out_type, with_cp, window_size, global_blocks, learn_pos_embed, init_cfg: see
            :class:`PlainBackbone`.

    Raises:
        ValueError: see :class:`BaseBackbone`.
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
        learn_pos_embed: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        patch_size = check_side(type(self).__name__, "patch_size", patch_size)
        super().__init__(
            arch=arch,
            img_size=img_size,
            encoder_stride=patch_size,
            in_channels=in_channels,
            mlp_ratio=mlp_ratio,
            drop_path_rate=drop_path_rate,
            with_cls_token=with_cls_token,
            out_indices=out_indices,
            out_type=out_type,
            with_cp=with_cp,
            window_size=window_size,
            global_blocks=global_blocks,
            frozen_stages=frozen_stages,
            learn_pos_embed=learn_pos_embed,
            init_cfg=init_cfg,
        )
        self.patch_embed = nn.Conv2d(in_channels, self.embed_dims, patch_size, patch_size)
        # initialized like a linear layer on the flattened patch, as in MAE
        nn.init.xavier_uniform_(self.patch_embed.weight.flatten(1))
        self.post_init()

    def embed(self, images: Tensor, visible: Tensor | None) -> tuple[Tensor, None]:
        """Embed images (B, 3, H, W), zero-padded to full patches, as tokens (B, h, w, D).

        ``visible`` has no effect, because patches do not overlap.
        """
        height, width = images.shape[-2:]
        stride = self.encoder_stride
        images = nn.functional.pad(images, (0, -width % stride, 0, -height % stride))
        return self.patch_embed(images).permute(0, 2, 3, 1), None
