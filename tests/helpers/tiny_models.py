"""Configs of small models that the test files share."""

import copy

# encoder stride 16, stages of 8, 16 and 32 channels, mask grid 4x4 at 64 pixels
TINY_BACKBONES = dict(
    large_windows=dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4)),
        img_size=64,
        window_size=(8, 8, 4),
    ),
    # 3 divides none of the grids, which combines padding, cyclic shift and image mask
    shifted_windows=dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(2, 2, 2), num_heads=(1, 2, 4)),
        img_size=64,
        window_size=3,
        shift_windows=True,
    ),
    pvt=dict(
        type="mim_plugins.MaskedPVT",
        arch=dict(
            embed_dims=(8, 16, 32), depths=(1, 2, 1), num_heads=(1, 2, 4), mlp_ratios=(2, 2, 2)
        ),
        img_size=64,
    ),
)

_VIT = dict(
    type="mim_plugins.MaskedViT",
    arch=dict(depth=3, embed_dims=16, num_heads=2),
    img_size=96,
    mlp_ratio=2,
)
_CONV_VIT = dict(
    type="mim_plugins.MaskedConvViT",
    arch=dict(depths=(2, 1, 3), embed_dims=(8, 12, 16), mlp_ratios=(2, 3, 2), num_heads=2),
    img_size=96,
)
# stride 16, 3 Transformer blocks of 16 channels, 6x6 tokens at 96 pixels
PLAIN_BACKBONES = dict(
    vit=_VIT,
    vit_without_cls=_VIT | dict(with_cls_token=False),
    conv_vit=_CONV_VIT,
    conv_vit_without_fusion=_CONV_VIT | dict(fuse_stages=False),
)

# two stages on grids of 8 and 4 tokens
SMALL_SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
)

PREPROCESSOR = dict(
    type="mim_plugins.MixDataPreprocessor", mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0]
)
_DECODER = dict(embed_dims=16, depth=1, num_heads=2)


def mixmae_config(backbone, **changes):
    """Return the config of a tiny MixMAE on a hierarchical backbone."""
    mixing = dict(batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5))
    cfg = dict(
        type="mim_plugins.MixMAE",
        backbone=backbone,
        decoder=dict(type="mim_plugins.MixMAEDecoder", **_DECODER),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=PREPROCESSOR | mixing,
    )
    return copy.deepcopy(cfg | changes)


def mrmae_config(backbone, **changes):
    """Return the config of a tiny MR-MAE on a plain backbone, without teachers."""
    cfg = dict(
        type="mim_plugins.MRMAE",
        backbone=backbone,
        decoder=dict(type="mim_plugins.MAEDecoder", **_DECODER),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=PREPROCESSOR | dict(bgr_to_rgb=True),
    )
    return copy.deepcopy(cfg | changes)
