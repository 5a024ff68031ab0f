"""COCO detection and instance segmentation: Mask R-CNN on MixMAE Swin-B/W14, 36 epochs.

Paper:    arXiv 2205.13137, whose settings for COCO could not be verified: these are our choice.
          For windows of 16 with global blocks, see docs/detection.md#large-inputs.
Result:   no published number that could be verified.
Cost:     8 GPUs * 4 images of 1024 pixels; time not measured.
Command:  tools/dist_train.sh configs/transfer/coco/mask_rcnn_mixmae_swin_b_36e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = "mask_rcnn_mixmae_swin_b_25e.py"

train_cfg = dict(max_epochs=36)
