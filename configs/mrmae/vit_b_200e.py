"""MR-MAE, ViT-B/16 mimicking CLIP, 200 epochs of ImageNet-1k.

Paper:    arXiv 2303.05475.
Result:   85.0 % top-1 after fine-tuning (published).
Cost:     8 GPUs * 256 images; 125,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_200e.py 8
"""

_base_ = "vit_b_400e.py"

train_cfg = dict(max_epochs=200)
