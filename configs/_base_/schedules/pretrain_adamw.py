# The cosine ends with train_cfg.max_epochs, which the recipe states.
base_lr = 1.5e-4  # per 256 images
total_batch = 2048
warmup_epochs = 40

optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(
        type="AdamW",
        lr=base_lr * total_batch / 256,
        betas=(0.9, 0.95),
        weight_decay=0.05,
    ),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
)
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=1e-6,
        begin=0,
        end=warmup_epochs,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type="CosineAnnealingLR",
        begin=warmup_epochs,
        eta_min=0,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type="mim_plugins.ResumableEpochLoop")
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
