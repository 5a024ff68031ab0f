"""MR-MAE with masked convolution stages, MCMAE-S ("ConvMAE-v2"), 200 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475 (method), 2205.03892 (encoder). The size is read from derived public
          code; learning rate, batch and warm-up are our choice.
Result:   83.6 % top-1 after fine-tuning (published, ConvMAE-v2).
Cost:     8 GPUs * 256 images; 125,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_s_200e.py 8
"""

_base_ = "mcmae_b_400e.py"

model = dict(backbone=dict(arch="small"))
train_cfg = dict(max_epochs=200)
