"""MixMAE, Swin-B/W14, 600 epochs of ImageNet-1k.

Paper:    arXiv 2205.13137. Recipe read from the authors' public scripts.
Result:   85.1 % top-1 after swin_b_finetune_100e.py (published by the authors).
Cost:     8 GPUs * 256 images; 375,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mixmae/swin_b_600e.py 8
"""

_base_ = [
    "../_base_/models/mixmae_swin_b.py",
    "../_base_/datasets/imagenet_pretrain_224.py",
    "../_base_/schedules/pretrain_adamw.py",
    "../_base_/pretrain_runtime.py",
]

train_cfg = dict(max_epochs=600)
