# The paper does not specify the distance and the loss weight: these are our choice.
_base_ = ["../imagenet_pixels.py", "clip_target.py"]

model = dict(
    type="mim_plugins.MRMAE",
    backbone=dict(type="mim_plugins.MaskedViT", arch="base"),
    decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=512, depth=8, num_heads=16),
    head=dict(type="mim_plugins.PixelHead", norm_pix=True),
    mask_ratio=0.75,
    mimics=dict(
        clip=dict(
            target_generator=_base_.clip_target,
            distance="mse",
            weight=1.0,
        ),
    ),
    data_preprocessor=dict(
        type="mim_plugins.MixDataPreprocessor",
        mean=_base_.pixel_mean,
        std=_base_.pixel_std,
        bgr_to_rgb=True,
    ),
)
