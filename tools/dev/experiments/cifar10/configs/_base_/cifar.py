"""Data, optimizer and schedule of every pre-training in the comparison."""

custom_imports = dict(
    imports=[
        "mim_plugins",
        "bfloat16",
        "cifar_arrays",
        "cifar_vit",
        "encoder_target",
        "mask_token_swin",
        "variants",
    ],
    allow_failed_imports=False,
)

epochs, batch = 10, 128
warmup_epochs = epochs / 10
img_size, classes = 32, 10
mean, std = [125.3, 123.0, 113.9], [63.0, 62.1, 66.7]
train_dataloader = dict(
    batch_size=batch,
    num_workers=0,
    drop_last=True,
    sampler=dict(type="mmengine.DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="mim_plugins.CifarArrays", data_root="arrays", images=10_000),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1.5e-3, betas=(0.9, 0.95), weight_decay=0.05),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, end=warmup_epochs, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=warmup_epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs)
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=26),
    checkpoint=dict(type="CheckpointHook", interval=epochs, save_optimizer=False),
)
randomness = dict(seed=0)
