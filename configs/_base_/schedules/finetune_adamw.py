# The cosine ends with train_cfg.max_epochs, which the recipe states.
base_lr = 5e-4  # per 256 images
total_batch = 1024
warmup_epochs = 5

optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(
        type="AdamW",
        lr=base_lr * total_batch / 256,
        betas=(0.9, 0.999),
        weight_decay=0.05,
    ),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.7),
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
        eta_min=1e-6,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type="mim_plugins.ResumableEpochLoop", val_interval=5)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
