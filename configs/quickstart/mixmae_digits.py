"""MixMAE on scikit-learn's 1,797 handwritten digits, for the quick start.

Paper:    arXiv 2205.13137 (method). Sizes and schedule are our choice; pixels are not normalized
          per patch, because most patches of a digit are uniform.
Result:   see finetune_digits.py.
Cost:     1,960 steps of 128 images, about 5 minutes on one CPU core.
Command:  bash tools/quickstart.sh, or after it tools/train.py configs/quickstart/mixmae_digits.py
"""

_base_ = [
    "_base_/digits.py",
    "../_base_/models/mixmae_swin_b.py",
    "../_base_/pretrain_runtime.py",
]

max_epochs = _base_.pretrain_epochs
warmup_epochs = 5

model = dict(
    backbone=dict(_delete_=True, **_base_.backbone),
    decoder=dict(embed_dims=64, depth=2, num_heads=4),
    head=dict(norm_pix=False),
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
)
train_dataloader = dict(
    **_base_.loader,
    batch_size=128,
    drop_last=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="mim_plugins.UnlabeledImageFolder",
        data_root=_base_.data_root,
        data_prefix=dict(img_path="images"),
        pipeline=_base_.train_pipeline,
    ),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=2e-3, betas=(0.9, 0.95), weight_decay=0.05),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, end=warmup_epochs, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=warmup_epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
default_hooks = dict(checkpoint=dict(interval=max_epochs, max_keep_ckpts=1))
