"""COCO detection and instance segmentation: Mask R-CNN on MixMAE Swin-B/W14, 25 epochs.

Paper:    arXiv 2205.13137, whose settings for COCO could not be verified: these are our choice.
          For windows of 16 with global blocks, see docs/detection.md#large-inputs.
Result:   no published number that could be verified.
Cost:     8 GPUs * 4 images of 1024 pixels; time not measured.
Command:  tools/dist_train.sh configs/transfer/coco/mask_rcnn_mixmae_swin_b_25e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
    "../../_base_/models/detection_swin_b.py",
    "../../_base_/datasets/coco_lsj_1024.py",
    "../../_base_/schedules/detection_adamw.py",
    "../../_base_/detection_runtime.py",
]

train_cfg = dict(max_epochs=25)
model = dict(
    data_preprocessor=_base_.square_images,
    backbone=dict(_delete_=True, **_base_.encoder),
    neck=dict(_delete_=True, **_base_.encoder_neck),
)
