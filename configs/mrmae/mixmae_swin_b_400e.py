"""MixMAE whose tokens also mimic CLIP, Swin-B/W14, 400 epochs of ImageNet-1k.

Paper:    arXiv 2205.13137 and 2303.05475; neither paper combines them. Each stride-32 token
          mimics the teacher's features of its own image, averaged over its 2x2 patches.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/mrmae/mixmae_swin_b_400e.py 8
"""

_base_ = ["../mixmae/swin_b_600e.py", "../_base_/models/clip_target.py"]

model = dict(
    mimics=dict(
        clip=dict(
            target_generator=_base_.clip_target,
            grid_scale=2,
        ),
    ),
)
train_cfg = dict(max_epochs=400)
