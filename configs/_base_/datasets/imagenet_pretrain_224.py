# Images without labels: <data_root>/train/**, or any folder of images.
train_pipeline = [
    dict(type="mim_plugins.LoadImage"),
    dict(
        type="RandomResizedCrop",
        scale=224,
        crop_ratio_range=(0.2, 1.0),
        backend="pillow",
        interpolation="bicubic",
    ),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mim_plugins.UnlabeledImageFolder",
        data_root="data/imagenet",
        data_prefix=dict(img_path="train"),
        on_damage="replace",  # and DataFaultHook counts
        pipeline=train_pipeline,
    ),
)
