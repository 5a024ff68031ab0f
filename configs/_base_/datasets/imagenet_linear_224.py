# ImageNet with the augmentation of MAE's linear probe: a random crop and a flip only.
_base_ = "imagenet_finetune_224.py"

train_pipeline = [
    dict(type="mim_plugins.LoadImage"),
    dict(type="RandomResizedCrop", scale=224, backend="pillow", interpolation="bicubic"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackInputs"),
]
train_dataloader = dict(batch_size=2048, dataset=dict(pipeline=train_pipeline))
