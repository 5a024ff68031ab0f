"""ImageNet-1k fine-tuning of MixMAE Swin-L/W14 at 224 px, 100 epochs.

Paper:    arXiv 2205.13137. Its settings for L are not public: those of Swin-B, with a drop path
          rate of 0.2, are our choice.
Result:   85.9 % top-1, 197 M parameters, 35.9 GFLOPs (published by the authors).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mixmae/swin_l_finetune_100e.py 8
"""

_base_ = "swin_b_finetune_100e.py"

model = dict(
    backbone=dict(
        arch="large",
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint="work_dirs/swin_l_600e/epoch_600.pth"),
    ),
    head=dict(in_channels=1536),
)
