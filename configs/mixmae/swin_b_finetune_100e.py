"""ImageNet-1k fine-tuning of MixMAE Swin-B/W14 at 224 px, 100 epochs.

Paper:    arXiv 2205.13137. Recipe read from the authors' public scripts.
Result:   85.1 % top-1, 88 M parameters, 16.3 GFLOPs (published by the authors).
Cost:     8 GPUs * 128 images; 125,000 steps of 1024 images.
Command:  tools/dist_train.sh configs/mixmae/swin_b_finetune_100e.py 8 --checkpoint CHECKPOINT
"""

_base_ = [
    "../_base_/models/classifier_swin_b.py",
    "../_base_/datasets/imagenet_finetune_224.py",
    "../_base_/schedules/finetune_adamw.py",
    "../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
# as in the authors' code, the head learns at the rate of the last block
optim_wrapper = dict(paramwise_cfg=dict(head_depth=-2))
