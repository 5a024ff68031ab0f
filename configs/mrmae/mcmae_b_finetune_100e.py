"""ImageNet-1k fine-tuning of MR-MAE's MCMAE-B, 100 epochs.

Paper:    arXiv 2303.05475, 2205.03892. Recipe read from the MCMAE authors' public instructions.
Result:   85.8 % top-1 after 400 epochs of pre-training (published, MR-MCMAE-B).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_b_finetune_100e.py 8 \
              --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
"""

_base_ = "vit_b_finetune_100e.py"

model = dict(
    backbone=dict(
        type="mim_plugins.MaskedConvViT",
        fuse_stages=False,
        init_cfg=dict(checkpoint="work_dirs/mcmae_b_400e/epoch_400.pth"),
    ),
)
