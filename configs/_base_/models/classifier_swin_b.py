# Swin-B as pre-trained by mixmae/swin_b_600e.py, fine-tuned on images of 224 pixels. Mean and std
# are those of the classification data preprocessor, in the data set's file.
model = dict(
    type="ImageClassifier",
    backbone=dict(
        type="mim_plugins.MaskedSwin",
        arch="base",
        drop_path_rate=0.1,
        out_type="avg_featmap",
        init_cfg=dict(
            type="Pretrained",
            checkpoint="work_dirs/swin_b_600e/epoch_600.pth",
            prefix="backbone.",
        ),
    ),
    head=dict(
        type="LinearClsHead",
        num_classes=1000,
        in_channels=1024,
        loss=dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original"),
        init_cfg=dict(type="TruncNormal", layer="Linear", std=2e-5),
    ),
    train_cfg=dict(augments=[dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)]),
)
