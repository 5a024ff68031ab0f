"""MixMAE with a small Swin whose windows cover the grid."""

_base_ = ["_base_/cifar.py", "_base_/swin.py"]

model = dict(
    type="mim_plugins.MixMAE",
    backbone=_base_.swin,
    decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=64, depth=2, num_heads=2),
    head=dict(type="mim_plugins.PixelHead", norm_pix=True),
    data_preprocessor=dict(
        type="mim_plugins.MixDataPreprocessor",
        mean=_base_.mean,
        std=_base_.std,
        batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5),
    ),
)
