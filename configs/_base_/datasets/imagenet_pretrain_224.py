# Images without labels: <data_root>/train/**, or any folder of images. The pixels of the fast
# backend differ from those of Pillow by 0.2 of 255 levels on average (docs/benchmarks.md); it uses
# simplejpeg if that is installed. With check_full_file="first_epoch", a worker checks each file
# for corruption once; afterwards it decodes no more than the crop needs. Crops with the pixels of
# Pillow: --cfg-options train_dataloader.dataset.pipeline.0.backend=exact
train_pipeline = [
    dict(
        type="mim_plugins.LoadRandomResizedCrop",
        scale=224,
        crop_ratio_range=(0.2, 1.0),
        flip_prob=0.5,
        backend="fast",
        check_full_file="first_epoch",
    ),
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
        on_corrupt="replace",  # counted by CorruptImageHook
        pipeline=train_pipeline,
    ),
)
