"""COCO detection and instance segmentation: Cascade Mask R-CNN on MR-MAE's MCMAE-B, 25 epochs.

Paper:    arXiv 2303.05475, 2205.03892. Our choice: mmdet's cascade in the recipe of
          mask_rcnn_mrmae_mcmae_b_25e.py.
Result:   no published number.
Cost:     8 GPUs * 4 images of 1024 pixels; time not measured.
Command:  tools/dist_train.sh configs/transfer/coco/cascade_mask_rcnn_mrmae_mcmae_b_25e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py",
    "../../_base_/models/detection_mcmae_b.py",
    "../../_base_/datasets/coco_lsj_1024.py",
    "../../_base_/schedules/detection_adamw.py",
    "../../_base_/detection_runtime.py",
]

train_cfg = dict(max_epochs=25)
model = dict(
    data_preprocessor=_base_.square_images,
    backbone=dict(_delete_=True, **_base_.encoder),
    neck=_base_.encoder_neck,
)
optim_wrapper = dict(**_base_.biases_decay)
