"""Linear probe of MR-MAE ViT-B/16 on ImageNet-1k, 90 epochs: only a linear layer is trained.

Paper:    the protocol is MAE's (arXiv 2111.06377, table 10). MAE probes the class token. Our
          choice is the mean of the patch tokens after the last norm, because they mimic the
          teacher in pre-training.
Result:   no published number.
Cost:     8 GPUs * 2048 images; 7,020 steps of 16,384 images. Not measured.
Command:  tools/dist_train.sh configs/mrmae/vit_b_linear_probe_90e.py 8 --checkpoint CHECKPOINT
"""

_base_ = "../mixmae/swin_b_linear_probe_90e.py"

model = dict(
    backbone=dict(
        encoder=dict(
            type="mim_plugins.MaskedViT",
            init_cfg=dict(checkpoint="work_dirs/vit_b_400e/epoch_400.pth"),
        ),
    ),
    neck=dict(input_features=768),
    head=dict(in_channels=768),
)
