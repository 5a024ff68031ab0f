# <data_root>/places365_*.txt, categories_places365.txt, data_256/** and val_256/*, as in the
# official archives.
_base_ = "imagenet_finetune_224.py"

num_classes = 365
data_preprocessor = dict(num_classes=num_classes)
images = dict(
    type="mim_plugins.Places365",
    size="small",  # or "large"
    data_root="data/places365",
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **images,
        split="train",
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **images,
        split="val",
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader
