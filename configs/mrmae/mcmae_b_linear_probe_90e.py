"""Linear probe of MR-MAE's MCMAE-B on ImageNet-1k, 90 epochs: only a linear layer is trained.

Paper:    as vit_b_linear_probe_90e.py. Fusing the convolution stages as in pre-training is our
          choice.
Result:   no published number.
Cost:     8 GPUs * 2048 images; 7,020 steps of 16,384 images. Not measured.
Command:  tools/dist_train.sh configs/mrmae/mcmae_b_linear_probe_90e.py 8 --checkpoint CHECKPOINT
"""

_base_ = "vit_b_linear_probe_90e.py"

model = dict(
    backbone=dict(
        encoder=dict(
            type="mim_plugins.MaskedConvViT",
            init_cfg=dict(checkpoint="work_dirs/mcmae_b_400e/epoch_400.pth"),
        ),
    ),
)
