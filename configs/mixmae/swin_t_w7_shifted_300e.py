"""MixMAE on Swin-T with shifted 7x7 windows, 300 epochs of ImageNet-1k.

Paper:    arXiv 2205.13137 (method), 2103.14030 (Swin-T). The image mask and the shift mask act
          together. The paper trains large windows; this schedule is our choice.
Cost:     8 GPUs * 256 images; 187,500 steps of 2048 images.
Command:  tools/dist_train.sh configs/mixmae/swin_t_w7_shifted_300e.py 8
"""

_base_ = "swin_b_600e.py"

model = dict(backbone=dict(arch="tiny", window_size=7, shift_windows=True))
train_cfg = dict(max_epochs=300)
