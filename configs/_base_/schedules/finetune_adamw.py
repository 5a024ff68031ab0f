# Fine-tuning of MAE, MixMAE and MCMAE, read from the authors' public code. Our choice: bfloat16
# instead of their float16 with a loss scale.
_base_ = ["./warmup_cosine.py"]

base_lr = 5e-4  # per 256 images
total_batch = 1024
warmup_epochs = 5
lr = base_lr * total_batch / 256

optim_wrapper = dict(
    optimizer=dict(
        type="AdamW",
        lr=lr,
        betas=(0.9, 0.999),
        weight_decay=0.05,
        fused=True,
    ),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.7),
)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=warmup_epochs),
    # to 1e-6 for the head, and in each layer to the same share of its rate, as in MAE's code
    dict(_base_.param_scheduler[1], begin=warmup_epochs, eta_min=None, eta_min_ratio=1e-6 / lr),
]
train_cfg = dict(val_interval=5)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
