# MCMAE-B as pre-trained by mrmae/mcmae_b_400e.py; the rest is that of ViT-B.
_base_ = "classifier_vit_b.py"

model = dict(
    backbone=dict(
        type="mim_plugins.MaskedConvViT",
        fuse_stages=False,
        init_cfg=dict(checkpoint="work_dirs/mcmae_b_400e/epoch_400.pth"),
    ),
)
