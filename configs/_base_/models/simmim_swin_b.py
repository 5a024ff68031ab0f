# mmpretrain's SimMIM at 224 px: windows of 7 tokens instead of 6, which fit 192 px.
_base_ = "../imagenet_pixels.py"

model = dict(
    type="SimMIM",
    backbone=dict(
        type="SimMIMSwinTransformer",
        arch="base",
        img_size=224,
        stage_cfgs=dict(block_cfgs=dict(window_size=7)),
    ),
    neck=dict(type="SimMIMLinearDecoder", in_channels=1024, encoder_stride=32),
    head=dict(
        type="SimMIMHead",
        patch_size=4,
        loss=dict(type="PixelReconstructionLoss", criterion="L1", channel=3),
    ),
)
data_preprocessor = dict(
    type="SelfSupDataPreprocessor",
    mean=_base_.pixel_mean,
    std=_base_.pixel_std,
    to_rgb=True,
)
