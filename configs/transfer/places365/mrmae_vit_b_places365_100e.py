"""Fine-tuning of MR-MAE ViT-B/16 on Places365-Standard at 224 px, 100 epochs.

Paper:    arXiv 2303.05475. Its settings for this data set could not be verified: those of
          ImageNet-1k are our choice.
Result:   no verified published number.
Data:     365 scenes: filelist_places365-standard.tar, train_256_places365standard.tar and
          val_256.tar, unpacked in data/places365; see docs/classification.md.
Cost:     8 GPUs * 128 images; steps of 1024 images. Not measured.
Command:  tools/dist_train.sh configs/transfer/places365/mrmae_vit_b_places365_100e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "../../_base_/models/classifier_vit_b.py",
    "../../_base_/datasets/places365_224.py",
    "../../_base_/schedules/finetune_adamw.py",
    "../../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
model = dict(head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
