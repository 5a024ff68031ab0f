# <data_root>/train2018.json, val2018.json and train_val2018/**, as in the official archives.
_base_ = "imagenet_finetune_224.py"

num_classes = 8142
data_preprocessor = dict(num_classes=num_classes)
images = dict(
    type="mim_plugins.INaturalist",
    year=2018,
    data_root="data/inat2018",
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
