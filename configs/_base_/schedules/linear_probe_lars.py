# MAE's linear probe (arXiv 2111.06377, table 10). Our choice: bfloat16 instead of their
# float16 with a loss scale.
_base_ = ["./warmup_cosine.py"]

base_lr = 0.1  # per 256 images
total_batch = 16384
warmup_epochs = 10

optim_wrapper = dict(
    optimizer=dict(type="LARS", lr=base_lr * total_batch / 256, momentum=0.9, weight_decay=0.0),
    # the authors' code adapts the rate of matrices only
    paramwise_cfg=dict(custom_keys={"head.fc.bias": dict(lars_exclude=True)}),
)
param_scheduler = [
    dict(_base_.param_scheduler[0], end=warmup_epochs),
    dict(_base_.param_scheduler[1], begin=warmup_epochs),
]
train_cfg = dict(val_interval=10)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
