"""MixMAE's recipe with a tiny encoder and decoder, for images of 64 pixels and two per process."""

_base_ = "../../../configs/mixmae/swin_b_600e.py"
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
        img_size=64,
        window_size=4,
    ),
    decoder=dict(embed_dims=16, depth=1, num_heads=2),
)
train_pipeline = _base_.train_pipeline
train_pipeline[0]["scale"] = 64
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    pin_memory=False,
    dataset=dict(pipeline=train_pipeline),
)
