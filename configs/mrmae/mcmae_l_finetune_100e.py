"""ImageNet-1k fine-tuning of MR-MAE's MCMAE-L, 100 epochs.

Paper:    arXiv 2303.05475, 2205.03892. The settings of MCMAE-B with a drop path
          rate of 0.2 are our choice.
Result:   86.8 % top-1 after 200 epochs of pre-training (published, ConvMAE-v2).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_l_finetune_100e.py 8
"""

_base_ = "mcmae_b_finetune_100e.py"

model = dict(
    backbone=dict(
        arch="large",
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint="work_dirs/mcmae_l_200e/epoch_200.pth"),
    ),
    head=dict(in_channels=1024),
)
