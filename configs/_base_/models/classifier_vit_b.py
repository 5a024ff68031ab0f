# ViT-B/16 as pre-trained by mrmae/vit_b_400e.py; the rest is that of Swin-B.
_base_ = "classifier_swin_b.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mim_plugins.MaskedViT",
        arch="base",
        drop_path_rate=0.1,
        out_type="avg_featmap",
        learn_pos_embed=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="work_dirs/vit_b_400e/epoch_400.pth",
            prefix="backbone.",
        ),
    ),
    head=dict(in_channels=768),
)
