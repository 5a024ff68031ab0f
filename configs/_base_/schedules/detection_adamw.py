# Learning rate, weight decay, batch, warm-up and cosine are those of the MCMAE authors' public
# detection configs; the layer decay is ViTDet's for base models (arXiv 2203.16527, appendix).
# Warm-up: 0.5 % of 25 epochs. float16: mmcv's RoIAlign has no bfloat16.
total_batch = 32

optim_wrapper = dict(
    type="AmpOptimWrapper",
    dtype="float16",
    loss_scale="dynamic",
    optimizer=dict(type="AdamW", lr=8e-5, betas=(0.9, 0.999), weight_decay=0.1, fused=True),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.7),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=461),
    dict(type="CosineAnnealingLR", eta_min=0.0, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(type="mim_plugins.ResumableEpochLoop", val_interval=5)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
auto_scale_lr = dict(base_batch_size=total_batch, enable=False)
