"""MAE of mmpretrain, ViT-B/16, 400 epochs: the baseline for MR-MAE.

Paper:    arXiv 2111.06377. The model is mmpretrain's; data and schedule are those of
          ../mrmae/vit_b_400e.py, so only the method differs.
Result:   no published number for this schedule; the paper: 83.6 % top-1 after 1600 epochs.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/baselines/mae_vit_b_400e.py 8
"""

_base_ = [
    "mmpretrain::_base_/models/mae_vit-base-p16.py",
    "../_base_/imagenet_pixels.py",
    "../_base_/datasets/imagenet_pretrain_224.py",
    "../_base_/schedules/pretrain_adamw.py",
    "../_base_/mmpretrain_runtime.py",
]

data_preprocessor = dict(
    type="SelfSupDataPreprocessor",
    mean=_base_.pixel_mean,
    std=_base_.pixel_std,
    to_rgb=True,
)
train_cfg = dict(max_epochs=400)
