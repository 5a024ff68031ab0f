"""Fine-tuning of an encoder, or training from random weights, with a share of the labels.

compare.py sets the encoder, the share and the epochs.
"""

_base_ = "_base_/cifar.py"

epochs, batch = 20, 50
model = dict(
    type="mmpretrain.ImageClassifier",
    backbone=dict(type="mim_plugins.MaskedSwin"),
    head=dict(
        type="mmpretrain.LinearClsHead",
        num_classes=_base_.classes,
        in_channels=128,
        loss=dict(type="mmpretrain.CrossEntropyLoss"),
    ),
)
data_preprocessor = dict(
    type="mmpretrain.ClsDataPreprocessor",
    num_classes=_base_.classes,
    mean=_base_.mean,
    std=_base_.std,
)
train_dataloader = dict(batch_size=batch, drop_last=False, dataset=dict(labeled=True))
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    sampler=dict(type="mmengine.DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
    dataset=dict(
        type="mim_plugins.CifarArrays",
        data_root="arrays",
        images=5_000,
        split="test",
        labeled=True,
    ),
)
val_evaluator = dict(type="mmpretrain.Accuracy", topk=(1,))
val_cfg = dict()
optim_wrapper = dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.999)))
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
default_hooks = dict(checkpoint=dict(interval=epochs))
