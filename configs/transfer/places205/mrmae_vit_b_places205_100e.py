"""Fine-tuning of MR-MAE ViT-B/16 on Places205 at 224 px, 100 epochs.

Paper:    arXiv 2303.05475. Its settings for this data set could not be verified: those of
          ImageNet-1k are our choice.
Result:   no verified published number.
Data:     205 scenes: trainvalsplit_places205.tar.gz and imagesPlaces205_resize.tar.gz, unpacked
          in data/places205; see docs/classification.md.
Cost:     8 GPUs * 128 images; steps of 1024 images. Not measured.
Command:  tools/dist_train.sh configs/transfer/places205/mrmae_vit_b_places205_100e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "../../_base_/models/classifier_vit_b.py",
    "../../_base_/datasets/places205_224.py",
    "../../_base_/schedules/finetune_adamw.py",
    "../../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
model = dict(head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
