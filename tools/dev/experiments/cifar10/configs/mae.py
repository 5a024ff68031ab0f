"""MAE of a small ViT: MR-MAE without a teacher."""

_base_ = "_base_/cifar.py"

model = dict(
    type="mim_plugins.MRMAE",
    backbone=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=4, embed_dims=96, num_heads=3),
        img_size=_base_.img_size,
        patch_size=4,
    ),
    decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=64, depth=2, num_heads=2),
    head=dict(type="mim_plugins.PixelHead", norm_pix=True),
    mask_ratio=0.75,
    data_preprocessor=dict(type="mmengine.ImgDataPreprocessor", mean=_base_.mean, std=_base_.std),
)
