"""Fine-tuning of MixMAE Swin-B/W14 with 1 % of the labels of ImageNet-1k, 1000 epochs.

Paper:    as swin_b_finetune_10percent.py. The same number of steps, so ten times the epochs,
          is our choice.
Result:   no published number.
Cost:     8 GPUs * 128 images; about 12,000 steps of 1024 images. Not measured.
Command:  python tools/dataset_converters/make_label_subset.py data/imagenet --fraction 0.01
          tools/dist_train.sh configs/mixmae/swin_b_finetune_1percent.py 8 --checkpoint CHECKPOINT
"""

_base_ = "swin_b_finetune_10percent.py"

train_dataloader = dict(dataset=dict(ann_file="meta/train_1percent.txt"))
train_cfg = dict(max_epochs=1000, val_interval=50)
