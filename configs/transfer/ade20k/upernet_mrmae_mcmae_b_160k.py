"""ADE20K semantic segmentation: UperNet on MR-MAE's MCMAE-B, 512 px, 160,000 iterations.

Paper:    arXiv 2303.05475, 2205.03892. Recipe read from the MCMAE authors' public ADE20K config.
          Our choice: their relative position bias and layer scale are left out, because
          pre-training has none. The levels are normalized, because the last norm is pre-trained.
          The position embedding does not decay: their code exempts it by a name that does not
          match.
Result:   no published number for MR-MAE; 51.7 mIoU for MCMAE-B without mimicking after 1600
          epochs of pre-training (published by its authors).
Cost:     8 GPUs * 2 images; 160,000 steps of 16 images; time not measured.
Command:  tools/dist_train.sh configs/transfer/ade20k/upernet_mrmae_mcmae_b_160k.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = "upernet_mixmae_swin_b_160k.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mim_plugins.MaskedConvViT",
        arch="base",
        drop_path_rate=0.2,
        fuse_stages=False,
        out_indices=(0, 1, 2),
        learn_pos_embed=True,
        init_cfg=dict(
            type="Pretrained",
            checkpoint="work_dirs/mcmae_b_400e/epoch_400.pth",
            prefix="backbone.",
        ),
    ),
    neck=dict(type="mim_plugins.ExtraLevel", channels=768),
    decode_head=dict(in_channels=[256, 384, 768, 768], channels=768),
    auxiliary_head=dict(in_channels=768),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
