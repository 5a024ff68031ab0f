"""COCO detection and instance segmentation: Mask R-CNN on MR-MAE's MCMAE-B, 25 epochs.

Paper:    arXiv 2303.05475; recipe read from the MCMAE authors' public detection configs
          (arXiv 2205.03892): no layer decay, biases decay, norms do not, heads with convolutions
          and norms. Ours: GN instead of SyncBN, and no relative position biases, because
          pre-training has none.
Result:   53.4 box AP (published, MR-MAE). MCMAE-B without teachers: 53.2 box, 47.1 mask AP.
Cost:     8 GPUs * 4 images of 1024 pixels; time not measured.
Command:  tools/dist_train.sh configs/transfer/coco/mask_rcnn_mrmae_mcmae_b_25e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = [
    "mmdet::_base_/models/mask-rcnn_r50_fpn.py",
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
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type="Shared4Conv1FCBBoxHead", norm_cfg=_base_.head_norm),
        mask_head=dict(norm_cfg=_base_.head_norm),
    ),
)
optim_wrapper = dict(**_base_.biases_decay)
