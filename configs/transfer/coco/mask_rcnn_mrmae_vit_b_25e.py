"""COCO detection and instance segmentation: Mask R-CNN on MR-MAE ViT-B/16, 25 epochs.

Paper:    arXiv 2303.05475. Windows, global blocks, drop path, layer decay, weight decay of biases
          and the simple feature pyramid are ViTDet's (arXiv 2203.16527). Our choice: heads and
          schedule are those of MCMAE. The relative positions of ViTDet are left out, because
          pre-training has none. The [CLS] token and the last LayerNorm, which are pre-trained,
          stay and are trained; ViTDet has neither.
Result:   no published number for the plain ViT.
Cost:     8 GPUs * 4 images of 1024 pixels; time not measured.
Command:  tools/dist_train.sh configs/transfer/coco/mask_rcnn_mrmae_vit_b_25e.py 8 \
              --checkpoint CHECKPOINT
"""

_base_ = "mask_rcnn_mrmae_mcmae_b_25e.py"

encoder = dict(
    _delete_=True,
    type="mim_plugins.MaskedViT",
    arch="base",
    window_size=14,
    global_blocks=(2, 5, 8, 11),
    drop_path_rate=0.1,
    learn_pos_embed=True,
    init_cfg=dict(
        type="Pretrained",
        checkpoint="work_dirs/vit_b_400e/epoch_400.pth",
        prefix="backbone.",
    ),
)
encoder_neck = dict(
    _delete_=True, type="mim_plugins.SimpleFeaturePyramid", in_channels=768, num_outs=5
)
model = dict(backbone=encoder, neck=encoder_neck)
optim_wrapper = dict(
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(_delete_=True, layer_decay_rate=0.7, decay_biases=True),
)
