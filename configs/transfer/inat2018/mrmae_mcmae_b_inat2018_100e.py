"""Fine-tuning of MR-MAE's MCMAE-B on iNaturalist 2018 at 224 px, 100 epochs.

Paper:    arXiv 2303.05475, 2205.03892. Its settings for this data set could not be verified:
          those of ImageNet-1k are our choice.
Result:   no verified published number.
Data:     8,142 species, 437,513 training and 24,426 validation images: train_val2018.tar.gz,
          train2018.json.tar.gz, val2018.json.tar.gz, unpacked in data/inat2018; see
          docs/classification.md.
Cost:     8 GPUs * 128 images; 42,700 steps of 1024 images. Not measured.
Command:  tools/dist_train.sh configs/transfer/inat2018/mrmae_mcmae_b_inat2018_100e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "../../_base_/models/classifier_mcmae_b.py",
    "../../_base_/datasets/inat2018_224.py",
    "../../_base_/schedules/finetune_adamw.py",
    "../../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
model = dict(head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
