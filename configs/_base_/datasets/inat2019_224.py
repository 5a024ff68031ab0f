# <data_root>/train2019.json, val2019.json and train_val2019/**, as the official archives unpack.
_base_ = "imagenet_finetune_224.py"

num_classes = 1010
data_preprocessor = dict(num_classes=num_classes)
images = dict(
    type="mim_plugins.INaturalist",
    year=2019,
    data_root="data/inat2019",
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
