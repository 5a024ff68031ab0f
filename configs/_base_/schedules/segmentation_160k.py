# The decay ends with train_cfg.max_iters. Values are those of the MCMAE authors' public ADE20K
# config. Our choice: bfloat16 instead of their float16 with a loss scale.
total_batch = 16
warmup_iters = 1_500

optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="bfloat16",
    loss_scale=dict(enabled=False),
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=warmup_iters, by_epoch=False),
    dict(type="PolyLR", power=1.0, eta_min=0.0, begin=warmup_iters, by_epoch=False),
]
train_cfg = dict(type="mim_plugins.ResumableIterLoop", max_iters=160_000, val_interval=16_000)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
