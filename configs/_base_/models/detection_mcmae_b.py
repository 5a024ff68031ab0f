# MR-MAE's MCMAE encoder and the neck that detectors read it through; a config puts them into a
# model. Windows, global blocks, drop path and the max-pooled fourth map: the MCMAE authors' public
# detection code. Ours: GN instead of SyncBN, because GN does not depend on the batch, and no
# relative position biases, which pre-training does not have.
encoder = dict(
    type="mim_plugins.MaskedConvViT",
    arch="base",
    fuse_stages=False,
    window_size=16,
    global_blocks=(0, 3, 6, 10),
    out_indices=(0, 1, 2),
    drop_path_rate=0.1,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="work_dirs/mcmae_b_400e/epoch_400.pth",
        prefix="backbone.",
    ),
)
head_norm = dict(type="GN", num_groups=32)
encoder_neck = [
    dict(type="mim_plugins.PooledLevel"),
    dict(
        type="FPN",
        in_channels=[256, 384, 768, 768],
        out_channels=256,
        num_outs=5,
        norm_cfg=head_norm,
    ),
]
# weights and biases decay, norms do not: detectron2's rule
biases_decay = dict(
    constructor="DefaultOptimWrapperConstructor",
    paramwise_cfg=dict(_delete_=True, norm_decay_mult=0.0),
)
