"""ImageNet-1k fine-tuning of MR-MAE's MCMAE-H, 100 epochs.

Paper:    arXiv 2303.05475, 2205.03892. The settings of MCMAE-B with a drop path
          rate of 0.3 are our choice.
Result:   88.0 % top-1 after 200 epochs of pre-training (published, ConvMAE-v2).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_h_finetune_100e.py 8
"""

_base_ = "mcmae_b_finetune_100e.py"

model = dict(
    backbone=dict(
        arch="huge",
        drop_path_rate=0.3,
        init_cfg=dict(checkpoint="work_dirs/mcmae_h_200e/epoch_200.pth"),
    ),
    head=dict(in_channels=1280),
)
