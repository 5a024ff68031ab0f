"""ImageNet-1k fine-tuning of MixMAE Swin-H/W14 at 224 px, 100 epochs.

Paper:    arXiv 2205.13137. Its settings for H are not public: those of Swin-B, with a drop path
          rate of 0.3 and gradient checkpointing, are our choice.
Result:   no published number that could be verified.
Cost:     16 GPUs * 64 images (our choice); 125,000 steps of 1024 images.
Command:  NNODES=2 tools/dist_train.sh configs/mixmae/swin_h_finetune_100e.py 8
          on each machine: docs/clusters.md
"""

_base_ = "swin_b_finetune_100e.py"

model = dict(
    backbone=dict(
        arch="huge",
        drop_path_rate=0.3,
        with_cp=True,
        init_cfg=dict(checkpoint="work_dirs/swin_h_600e/epoch_600.pth"),
    ),
    head=dict(in_channels=2816),
)
train_dataloader = dict(batch_size=64)
