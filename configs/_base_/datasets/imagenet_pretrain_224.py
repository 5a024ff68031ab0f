# Images without labels: <data_root>/train/**, or any folder of images. The fast backend's pixels
# differ from pillow's by 0.2 of 255 levels on average; it wants simplejpeg and does without:
# docs/benchmarks.md. to_end="once": a worker looks through each file once for damage, later crops
# are decoded only as far as they reach. backend=exact: the same crops and flips in pillow's pixels:
# --cfg-options train_dataloader.dataset.pipeline.0.backend=exact
train_pipeline = [
    dict(
        type="mim_plugins.LoadRandomResizedCrop",
        scale=224,
        crop_ratio_range=(0.2, 1.0),
        flip_prob=0.5,
        backend="fast",
        to_end="once",
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
        on_damage="replace",  # and DataFaultHook counts
        pipeline=train_pipeline,
    ),
)
