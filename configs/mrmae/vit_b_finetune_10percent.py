"""Fine-tuning of MR-MAE ViT-B/16 with 10 % of the labels of ImageNet-1k, 100 epochs.

Paper:    not in the paper; 1 % and 10 % are the subsets of SimCLR (arXiv 2002.05709). The
          settings of vit_b_finetune_100e.py are our choice.
Result:   no published number.
Cost:     8 GPUs * 128 images; about 12,500 steps of 1024 images. Not measured.
Command:  python tools/dataset_converters/make_label_subset.py data/imagenet --fraction 0.1
          tools/dist_train.sh configs/mrmae/vit_b_finetune_10percent.py 8 --checkpoint CHECKPOINT
"""

_base_ = "vit_b_finetune_100e.py"

train_dataloader = dict(dataset=dict(ann_file="meta/train_10percent.txt"))
