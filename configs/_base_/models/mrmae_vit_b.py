# The paper does not specify the teacher's size and features, the distance and the loss weight:
# these are our choice.
model = dict(
    type="mim_plugins.MRMAE",
    backbone=dict(type="mim_plugins.MaskedViT", arch="base"),
    decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=512, depth=8, num_heads=16),
    head=dict(type="mim_plugins.PixelHead", norm_pix=True),
    mask_ratio=0.75,
    mimics=dict(
        clip=dict(
            target_generator=dict(
                type="mim_plugins.OpenCLIPTarget",
                model_name="ViT-B-16",
                pretrained="openai",  # or the path of a file with these weights
                tag="openai",
                features="norm",
                normalize=True,
            ),
            distance="mse",
            weight=1.0,
        ),
    ),
    data_preprocessor=dict(
        type="mim_plugins.MixDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
)
