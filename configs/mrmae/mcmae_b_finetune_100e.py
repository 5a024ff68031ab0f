"""ImageNet-1k fine-tuning of MR-MAE's MCMAE-B, 100 epochs.

Paper:    arXiv 2303.05475, 2205.03892. Recipe read from the MCMAE authors' public instructions.
Result:   85.8 % top-1 after 400 epochs of pre-training (published, MR-MCMAE-B).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mrmae/mcmae_b_finetune_100e.py 8 --checkpoint CHECKPOINT
"""

_base_ = [
    "../_base_/models/classifier_mcmae_b.py",
    "../_base_/datasets/imagenet_finetune_224.py",
    "../_base_/schedules/finetune_adamw.py",
    "../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
