_base_ = "../imagenet_pixels.py"

# One mask serves the images of a process: 256 here, 128 in the authors' run, which has as many
# images per step. Smaller batches per process have more masks per step.
model = dict(
    type="mim_plugins.MixMAE",
    backbone=dict(type="mim_plugins.MaskedSwin", arch="base"),
    decoder=dict(
        type="mim_plugins.MixMAEDecoder", embed_dims=512, depth=8, num_heads=16, norm_eps=1e-5
    ),
    head=dict(type="mim_plugins.PixelHead", norm_pix=True),
    data_preprocessor=dict(
        type="mim_plugins.MixDataPreprocessor",
        mean=_base_.pixel_mean,
        std=_base_.pixel_std,
        bgr_to_rgb=True,
        batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5),
    ),
)
