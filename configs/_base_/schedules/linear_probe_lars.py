# MAE's linear probe (arXiv 2111.06377, table 10). The cosine ends with train_cfg.max_epochs, which
# the recipe states.
base_lr = 0.1  # per 256 images
total_batch = 16384
warmup_epochs = 10

optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    optimizer=dict(type="LARS", lr=base_lr * total_batch / 256, momentum=0.9, weight_decay=0.0),
    # the authors' code adapts the rate of matrices only
    paramwise_cfg=dict(custom_keys={"head.fc.bias": dict(lars_exclude=True)}),
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
train_cfg = dict(type="mim_plugins.ResumableEpochLoop", val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
