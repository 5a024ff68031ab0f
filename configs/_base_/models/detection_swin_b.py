# MixMAE's encoder and the neck between it and a detector; a config inserts both into a model. In
# pre-training, windows were not shifted and no token attended beyond 224 pixels. Our choice: the
# last stage, which is cheap, attends globally.
encoder = dict(
    type="mim_plugins.MaskedSwin",
    arch="base",
    window_size=(14, 14, 14, "global"),
    out_indices=(0, 1, 2, 3),
    drop_path_rate=0.2,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="work_dirs/swin_b_600e/epoch_600.pth",
        prefix="backbone.",
    ),
)
encoder_neck = dict(type="FPN", in_channels=[128, 256, 512, 1024], out_channels=256, num_outs=5)
