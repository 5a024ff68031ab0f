# The augmentation is that of MAE's and MixMAE's public code, with one choice of ours, mmpretrain's:
# RandomErasing fills in 8-bit colors before the normalization. This clips its noise, in standard
# deviations, at -2.1 and 2.2 in red, -2.0 and 2.4 in green, and -1.8 and 2.6 in blue.
#
# Labeled images: <data_root>/train/<class>/*, <data_root>/val/<class>/* (or meta/val.txt).
_base_ = "../imagenet_pixels.py"

data_preprocessor = dict(
    num_classes=1000,
    mean=_base_.pixel_mean,
    std=_base_.pixel_std,
    to_rgb=True,
)
# images are BGR until the preprocessor converts them
bgr_mean = _base_.pixel_mean[::-1]
bgr_std = _base_.pixel_std[::-1]

train_pipeline = [
    dict(type="mim_plugins.LoadImage"),
    dict(type="RandomResizedCrop", scale=224, backend="pillow", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5),
    dict(
        type="RandAugment",
        policies="timm_increasing",
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[round(x) for x in bgr_mean], interpolation="bicubic"),
    ),
    dict(
        type="RandomErasing",
        erase_prob=0.25,
        mode="rand",
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=bgr_mean,
        fill_std=bgr_std,
    ),
    dict(type="PackInputs"),
]
test_pipeline = [
    # mmcv's, which mmpretrain's inferencer replaces for images in memory
    dict(type="LoadImageFromFile"),
    dict(
        type="mim_plugins.ResizeEdge",
        scale=256,
        edge="short",
        backend="pillow",
        interpolation="bicubic",
    ),
    dict(type="CenterCrop", crop_size=224),
    dict(type="PackInputs"),
]
dataset = dict(type="mim_plugins.ImageNet", data_root="data/imagenet")
loader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type="default_collate"),
)
train_dataloader = dict(
    **loader,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(**dataset, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    **loader,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(**dataset, split="val", pipeline=test_pipeline),
)
val_evaluator = dict(type="Accuracy", topk=(1, 5))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
