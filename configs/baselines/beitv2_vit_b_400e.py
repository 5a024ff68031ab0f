"""BEiT v2 of mmpretrain, ViT-B/16, 400 epochs: a baseline that learns from CLIP too.

Paper:    arXiv 2208.06366. Model and two-view pipeline are mmpretrain's; images and schedule
          are those of ../mrmae/vit_b_400e.py.
Result:   no published number for this schedule; the MR-MAE paper quotes 85.5 % top-1 for BEiT v2-B.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images. The tokenizer's weights are
          downloaded, or --cfg-options model.target_generator.init_cfg.checkpoint=FILE.
Command:  tools/dist_train.sh configs/baselines/beitv2_vit_b_400e.py 8
"""

_base_ = [
    "../_base_/models/beitv2_vit_b.py",
    "../_base_/datasets/imagenet_pretrain_224.py",
    "../_base_/schedules/pretrain_adamw.py",
    "../_base_/mmpretrain_runtime.py",
]

train_pipeline = [
    dict(type="mim_plugins.LoadImage"),
    dict(type="ColorJitter", brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(
        type="RandomResizedCropAndInterpolationWithTwoPic",
        size=224,
        second_size=224,
        interpolation="bicubic",
        second_interpolation="bicubic",
        scale=(0.2, 1.0),
    ),
    dict(
        type="BEiTMaskGenerator",
        input_size=(14, 14),
        num_masking_patches=75,
        max_num_patches=75,
        min_num_patches=16,
    ),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# the loss does not use the decoder of the tokenizer
find_unused_parameters = True
train_cfg = dict(max_epochs=400)
