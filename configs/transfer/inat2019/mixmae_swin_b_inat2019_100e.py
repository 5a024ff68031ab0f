"""Fine-tuning of MixMAE Swin-B/W14 on iNaturalist 2019 at 224 px, 100 epochs.

Paper:    arXiv 2205.13137. Its settings for this data set could not be verified: those of
          ImageNet-1k are our choice.
Result:   no verified published number.
Data:     1,010 species: train_val2019.tar.gz, train2019.json.tar.gz, val2019.json.tar.gz,
          unpacked in data/inat2019; see docs/classification.md.
Cost:     8 GPUs * 128 images; steps of 1024 images. Not measured.
Command:  tools/dist_train.sh configs/transfer/inat2019/mixmae_swin_b_inat2019_100e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "../../_base_/models/classifier_swin_b.py",
    "../../_base_/datasets/inat2019_224.py",
    "../../_base_/schedules/finetune_adamw.py",
    "../../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=100)
model = dict(head=dict(num_classes=_base_.num_classes))
optim_wrapper = dict(paramwise_cfg=dict(head_depth=-2))
