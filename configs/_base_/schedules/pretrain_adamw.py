_base_ = ["./warmup_cosine.py"]

base_lr = 1.5e-4  # per 256 images
total_batch = 2048
warmup_epochs = 40

optim_wrapper = dict(
    optimizer=dict(
        type="AdamW",
        lr=base_lr * total_batch / 256,
        betas=(0.9, 0.95),
        weight_decay=0.05,
        fused=True,
    ),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=warmup_epochs),
    dict(_base_.param_scheduler[1], begin=warmup_epochs),
]
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
