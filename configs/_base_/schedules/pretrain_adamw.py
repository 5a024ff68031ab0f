# Pre-training of MixMAE, and of MAE at another batch, read from the authors' public code. Our
# choice: bfloat16 instead of their float16 with a loss scale.
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
    # the authors' pre-training exempts only biases and norms
    paramwise_cfg=dict(decay_tokens=True),
)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=warmup_epochs),
    dict(_base_.param_scheduler[1], begin=warmup_epochs),
]
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
