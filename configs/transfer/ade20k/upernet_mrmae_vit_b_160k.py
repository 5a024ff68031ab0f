"""ADE20K semantic segmentation: UperNet on MR-MAE ViT-B/16, 512 px, 160,000 iterations.

Paper:    arXiv 2303.05475, which has no such setting. Head, neck and layer decay are those of
          MMSegmentation's MAE, the schedule is that of MCMAE, and blocks 3, 6, 9, 12 as levels are
          our choice.
Result:   no published number.
Cost:     8 GPUs * 2 images; 160,000 steps of 16 images; time not measured.
Command:  tools/dist_train.sh configs/transfer/ade20k/upernet_mrmae_vit_b_160k.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = "upernet_mixmae_swin_b_160k.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mim_plugins.MaskedViT",
        arch="base",
        drop_path_rate=0.1,
        out_indices=(2, 5, 8, 11),
        learn_pos_embed=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="work_dirs/vit_b_400e/epoch_400.pth",
            prefix="backbone.",
        ),
    ),
    # all blocks have stride 16: strides 4, 8, 16 and 32 out of them
    neck=dict(type="Feature2Pyramid", embed_dim=768, rescales=[4, 2, 1, 0.5]),
    decode_head=dict(in_channels=[768, 768, 768, 768], channels=768),
    auxiliary_head=dict(in_channels=768),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
