"""Small detectors made from the COCO configs."""

# each kind of backbone, with the channels of its outputs
TINY_ENCODERS = dict(
    swin=(dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)), [8, 16, 32, 64]),
    mcmae=(
        dict(depths=(1, 1, 2), embed_dims=(8, 16, 32), mlp_ratios=(2, 2, 2), num_heads=2),
        [8, 16, 32, 32],
    ),
    vit=(dict(depth=2, embed_dims=8, num_heads=2), 8),
)


def make_small(model, kind):
    """Replace the encoder of a model's config by a tiny one, and narrow the heads."""
    arch, channels = TINY_ENCODERS[kind]
    model.backbone.arch = arch
    if "global_blocks" in model.backbone:
        model.backbone.global_blocks = (1,)
    (model.neck[-1] if isinstance(model.neck, list) else model.neck).in_channels = channels
    model.data_preprocessor.pad_size_divisor = 32  # padding to the full size is slow
    model.rpn_head.feat_channels = 256
    heads = model.roi_head.bbox_head
    for head in heads if isinstance(heads, list) else [heads]:
        head.fc_out_channels = 16
    rcnn = model.train_cfg.rcnn
    for part in rcnn if isinstance(rcnn, list) else [rcnn]:
        part.sampler.num = 8
