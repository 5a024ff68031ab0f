"""ImageNet-1k fine-tuning of MixMAE Swin-B at 384 px with windows 16-16-24-12, 100 epochs.

Paper:    arXiv 2205.13137. Image and window sizes from the authors' public code; bias tables and
          position embedding of the 224 px checkpoint are resized. The schedule, which is that of
          224 px, and the batch per GPU are our choice.
Result:   86.3 % top-1, 89.6 M parameters, 52.6 GFLOPs (published by the authors).
Cost:     16 GPUs * 64 images; 125,000 steps of 1024 images.
Command:  NNODES=2 tools/dist_train.sh configs/mixmae/swin_b_384_finetune_100e.py 8
          on each machine: docs/clusters.md
"""

_base_ = "swin_b_finetune_100e.py"

model = dict(backbone=dict(img_size=384, window_size=(16, 16, 24, 12)))

train_pipeline = _base_.train_pipeline
train_pipeline[1]["scale"] = 384
test_pipeline = _base_.test_pipeline
test_pipeline[1]["scale"] = 384
test_pipeline[2]["crop_size"] = 384
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
