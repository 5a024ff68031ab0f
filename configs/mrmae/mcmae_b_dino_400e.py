"""MR-MAE with masked convolution stages mimicking DINO, MCMAE-B, 400 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475 (method), 2205.03892 (encoder). The teacher's size is our choice.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_b_dino_400e.py 8
"""

_base_ = "vit_b_dino_400e.py"

model = dict(backbone=dict(type="mim_plugins.MaskedConvViT"))
