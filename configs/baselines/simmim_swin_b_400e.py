"""SimMIM of mmpretrain, Swin-B with shifted 7x7 windows, 400 epochs: the baseline for MixMAE.

Paper:    arXiv 2111.09886. The model is mmpretrain's, at 224 px; data and schedule are those of
          ../mixmae; the pipeline only adds the mask generator.
Result:   no published number for this schedule and image size.
Cost:     8 GPUs * 256 images; 250,000 steps of 2048 images.
Command:  tools/dist_train.sh configs/baselines/simmim_swin_b_400e.py 8
"""

_base_ = [
    "../_base_/models/simmim_swin_b.py",
    "../_base_/datasets/imagenet_pretrain_224.py",
    "../_base_/schedules/pretrain_adamw.py",
    "../_base_/mmpretrain_runtime.py",
]

mask = dict(
    type="SimMIMMaskGenerator",
    input_size=224,
    mask_patch_size=32,
    model_patch_size=4,
    mask_ratio=0.6,
)
train_pipeline = [*_base_.train_pipeline[:-1], mask, _base_.train_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_epochs=400)
