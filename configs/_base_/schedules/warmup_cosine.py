# Linear warm-up from 0, then a cosine that ends with train_cfg.max_epochs, which the recipe states,
# as in MAE's code. The schedules derived from this one insert their epochs of warm-up.
# bfloat16 has the range of float32, so its gradients need no scaling
optim_wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16", loss_scale=dict(enabled=False))
param_scheduler = [
    dict(type="mim_plugins.LinearWarmupLR", begin=0, by_epoch=True, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", eta_min=0, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(type="mim_plugins.ResumableEpochLoop")
