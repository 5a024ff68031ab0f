"""ImageNet-1k fine-tuning of MixMAE Swin-L at 384 px with windows 16-16-24-12, 100 epochs.

Paper:    arXiv 2205.13137. The settings of swin_b_384_finetune_100e.py, with a drop path
          rate of 0.2: these settings for L are our choice.
Result:   86.9 % top-1, 199 M parameters, 112 GFLOPs (published by the authors).
Cost:     16 GPUs * 64 images; 125,000 steps of 1024 images.
Command:  NNODES=2 tools/dist_train.sh configs/mixmae/swin_l_384_finetune_100e.py 8
          on each machine: docs/clusters.md
"""

_base_ = "swin_b_384_finetune_100e.py"

model = dict(
    backbone=dict(
        arch="large",
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint="work_dirs/swin_l_600e/epoch_600.pth"),
    ),
    head=dict(in_channels=1536),
)
