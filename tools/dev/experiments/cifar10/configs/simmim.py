"""SimMIM on the Swin encoder of the MixMAE run, with mmpretrain's method and loss."""

_base_ = [
    "../../../../../configs/_base_/models/simmim_swin_b.py",
    "_base_/cifar.py",
    "_base_/swin.py",
]

model = dict(
    type="mmpretrain.SimMIM",
    backbone=dict(_delete_=True, type="mim_plugins.MaskTokenSwin", encoder=_base_.swin),
    neck=dict(
        type="mmpretrain.SimMIMLinearDecoder",
        in_channels=_base_.swin.arch.embed_dims[-1],
        encoder_stride=8,
    ),
    head=dict(
        type="mmpretrain.SimMIMHead",
        patch_size=_base_.swin.patch_size,
        loss=dict(type="mmpretrain.PixelReconstructionLoss"),
    ),
)
data_preprocessor = dict(
    _delete_=True, type="mmpretrain.SelfSupDataPreprocessor", mean=_base_.mean, std=_base_.std
)
mask = dict(
    type="mmpretrain.SimMIMMaskGenerator",
    input_size=_base_.img_size,
    mask_patch_size=8,
    model_patch_size=_base_.swin.patch_size,
    mask_ratio=0.6,
)
train_dataloader = dict(dataset=dict(mask=mask))
