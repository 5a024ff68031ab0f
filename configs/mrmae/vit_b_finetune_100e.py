"""ImageNet-1k fine-tuning of MR-MAE ViT-B/16, 100 epochs.

Paper:    arXiv 2303.05475; the recipe is MAE's (arXiv 2111.06377, table 9).
Result:   85.0 % top-1 after 200 epochs of pre-training (published).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mrmae/vit_b_finetune_100e.py 8 --checkpoint CHECKPOINT
"""

_base_ = [
    "../_base_/models/classifier_vit_b.py",
    "../_base_/datasets/imagenet_finetune_224.py",
    "../_base_/schedules/finetune_adamw.py",
    "../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
