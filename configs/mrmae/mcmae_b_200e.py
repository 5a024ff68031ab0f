"""MR-MAE with masked convolution stages, MCMAE-B ("ConvMAE-v2"), 200 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475 (method), 2205.03892 (encoder).
Result:   85.7 % top-1 after mcmae_b_finetune_100e.py (published, ConvMAE-v2).
Cost:     8 GPUs * 256 images; 125,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_b_200e.py 8
"""

_base_ = "mcmae_b_400e.py"

train_cfg = dict(max_epochs=200)
