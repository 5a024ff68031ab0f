"""ImageNet-1k fine-tuning of MR-MAE ViT-B/16, 100 epochs.

Paper:    arXiv 2303.05475; the recipe is MAE's (arXiv 2111.06377, table 9).
Result:   85.0 % top-1 after 200 epochs of pre-training (published).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_finetune_100e.py 8 \
              --cfg-options model.backbone.init_cfg.checkpoint=CHECKPOINT
"""

_base_ = "../mixmae/swin_b_finetune_100e.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mim_plugins.MaskedViT",
        arch="base",
        drop_path_rate=0.1,
        out_type="avg_featmap",
        init_cfg=dict(
            type="Pretrained",
            checkpoint="work_dirs/vit_b_400e/epoch_400.pth",
            prefix="backbone.",
        ),
    ),
    head=dict(in_channels=768),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
