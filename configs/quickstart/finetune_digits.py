"""Fine-tuning on 3 labeled digits per class, for the quick start.

Result:   top-1 on 1,297 test digits, mean of seeds 0, 1, 2, each with its own labels: 77.6 %
          pre-trained, 75.4 % from random weights (measured on 2 CPU cores; with seed 2 alone, 82.3
          and 83.0 %; with one thread, 79.8 and 75.5 %). Batch and labels per class were chosen
          among a few on the same test digits; with batches of 60, random weights reach 78.2 %.
Cost:     500 steps of 30 images, about 25 seconds on one CPU core.
Command:  bash tools/quickstart.sh, or after it tools/train.py configs/quickstart/finetune_digits.py
          (from random weights: --cfg-options model.backbone.init_cfg=None)
"""

_base_ = [
    "_base_/digits.py",
    "../_base_/models/classifier_swin_b.py",
    "../_base_/mmpretrain_runtime.py",
]

max_epochs = 25
warmup_epochs = 2

model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.backbone,
        drop_path_rate=0.1,
        out_type="avg_featmap",
        init_cfg=dict(
            type="Pretrained",
            checkpoint=_base_.pretrain_checkpoint,
            prefix="backbone.",
        ),
    ),
    head=dict(num_classes=10, in_channels=_base_.backbone.arch.embed_dims[-1]),
    train_cfg=dict(augments=None),
)
data_preprocessor = dict(num_classes=10, mean=_base_.mean, std=_base_.std, to_rgb=True)
dataset = dict(type="CustomDataset", data_root=_base_.data_root, data_prefix="images")
train_dataloader = dict(
    **_base_.loader,
    batch_size=30,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="RepeatDataset",
        times=20,
        dataset=dict(**dataset, ann_file="labels_seed0.txt", pipeline=_base_.train_pipeline),
    ),
)
val_dataloader = dict(
    **_base_.loader,
    batch_size=256,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(**dataset, ann_file="test.txt", pipeline=_base_.test_pipeline),
)
val_evaluator = dict(type="Accuracy", topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-3, weight_decay=0.05),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.9),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, end=warmup_epochs, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=warmup_epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(interval=max_epochs, max_keep_ckpts=1))
