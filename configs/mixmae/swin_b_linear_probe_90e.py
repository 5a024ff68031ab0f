"""Linear probe of MixMAE Swin-B/W14 on ImageNet-1k, 90 epochs: only a linear layer is trained.

Paper:    the protocol is MAE's (arXiv 2111.06377, table 10); a protocol of the MixMAE authors
          could not be verified, so this is our choice. Features are the mean of the last tokens,
          normalized over the batch without learned scale.
Result:   no published number.
Cost:     8 GPUs * 2048 images; 7,020 steps of 16,384 images. Not measured.
Command:  tools/dist_train.sh configs/mixmae/swin_b_linear_probe_90e.py 8 --checkpoint CHECKPOINT
"""

_base_ = [
    "../_base_/models/classifier_swin_b.py",
    "../_base_/datasets/imagenet_linear_224.py",
    "../_base_/schedules/linear_probe_lars.py",
    "../_base_/mmpretrain_runtime.py",
]

train_cfg = dict(max_epochs=90)
model = dict(
    backbone=dict(
        _delete_=True,
        type="mim_plugins.FrozenBackbone",
        encoder=dict(
            type="mim_plugins.MaskedSwin",
            arch="base",
            init_cfg=_base_.model.backbone.init_cfg,
        ),
    ),
    neck=dict(type="ClsBatchNormNeck", input_features=1024),
    head=dict(
        loss=dict(_delete_=True, type="CrossEntropyLoss"),
        init_cfg=dict(type="TruncNormal", layer="Linear", std=0.01),
    ),
    train_cfg=dict(augments=None),
)
# evaluates with the running statistics of all processes
default_hooks = dict(sync_buffers=dict(type="SyncBuffersHook"))
