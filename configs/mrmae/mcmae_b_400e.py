"""MR-MAE with masked convolution stages, MCMAE-B ("ConvMAE-v2"), 400 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475 (method), 2205.03892 (encoder). Learning rate, batch and warm-up are
          our choice.
Result:   85.8 % top-1 after mcmae_b_finetune_100e.py (published, MR-MCMAE-B).
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_b_400e.py 8
"""

_base_ = "vit_b_400e.py"

model = dict(backbone=dict(type="mim_plugins.MaskedConvViT"))
