# <data_root>/trainvalsplit_places205/*.csv and data/vision/torralba/deeplearning/images256/**, as
# in the official archives.
_base_ = "imagenet_finetune_224.py"

num_classes = 205
data_preprocessor = dict(num_classes=num_classes)
images = dict(
    type="Places205",
    data_root="data/places205",
    data_prefix="data/vision/torralba/deeplearning/images256",
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **images,
        ann_file="trainvalsplit_places205/train_places205.csv",
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        **images,
        ann_file="trainvalsplit_places205/val_places205.csv",
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader
