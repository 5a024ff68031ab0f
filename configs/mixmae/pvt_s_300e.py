"""MixMAE on PVT-Small, 300 epochs of ImageNet-1k.

Paper:    arXiv 2205.13137 (method), 2102.12122 (PVT). Schedule and size are our choice.
Cost:     8 GPUs * 256 images; 187,500 steps of 2048 images.
Command:  tools/dist_train.sh configs/mixmae/pvt_s_300e.py 8
"""

_base_ = "swin_b_600e.py"

model = dict(backbone=dict(_delete_=True, type="mim_plugins.MaskedPVT", arch="small"))
train_cfg = dict(max_epochs=300)
