"""COCO detection and instance segmentation: Mask R-CNN on MixMAE Swin-L/W14, 36 epochs.

Paper:    arXiv 2205.13137, whose settings for COCO could not be verified: these are our choice,
          with ViTDet's layer decay and drop path for large models (arXiv 2203.16527).
Result:   no published number that could be verified.
Cost:     8 GPUs * 4 images of 1024 pixels; time not measured.
Command:  tools/dist_train.sh configs/transfer/coco/mask_rcnn_mixmae_swin_l_36e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = "mask_rcnn_mixmae_swin_b_36e.py"

model = dict(
    backbone=dict(
        arch="large",
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint="work_dirs/swin_l_600e/epoch_600.pth"),
    ),
    neck=dict(in_channels=[192, 384, 768, 1536]),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
