"""MixMAE, Swin-L/W14, 600 epochs of ImageNet-1k.

Paper:    arXiv 2205.13137. Size from the authors' public code, length from their README; the
          schedule of Swin-B is our choice.
Result:   85.9 % top-1 after swin_l_finetune_100e.py (published by the authors).
Cost:     8 GPUs * 256 images; 375,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mixmae/swin_l_600e.py 8
"""

_base_ = "swin_b_600e.py"

model = dict(backbone=dict(arch="large"))
