# mmpretrain's BEiT v2 of the 300-epoch recipe; the tokenizer's weights are OpenMMLab's.
_base_ = "../imagenet_pixels.py"

layer_scale = 0.1
model = dict(
    type="BEiT",
    backbone=dict(
        type="BEiTPretrainViT",
        arch="base",
        patch_size=16,
        out_indices=[-4, -1],
        final_norm=False,
        out_type="raw",
        layer_scale_init_value=layer_scale,
        init_cfg=[
            dict(type="TruncNormal", std=0.02, layer="Linear"),
            dict(type="TruncNormal", std=0.02, layer="Conv2d"),
            dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
        ],
    ),
    neck=dict(
        type="BEiTV2Neck",
        num_layers=2,
        early_layers=9,
        backbone_arch="base",
        layer_scale_init_value=layer_scale,
    ),
    head=dict(
        type="BEiTV2Head", embed_dims=768, num_embed=8192, loss=dict(type="CrossEntropyLoss")
    ),
    target_generator=dict(
        type="VQKD",
        encoder_config=dict(
            arch="base",
            img_size=224,
            patch_size=16,
            out_indices=-1,
            norm_cfg=dict(type="LN", eps=1e-6),
            final_norm=True,
            out_type="featmap",
            with_cls_token=True,
            use_abs_pos_emb=True,
            use_rel_pos_bias=False,
            use_shared_rel_pos_bias=False,
            layer_scale_init_value=0.0,
            interpolate_mode="bicubic",
        ),
        init_cfg=dict(
            type="Pretrained",
            checkpoint="https://download.openmmlab.com/mmselfsup/1.x/target_generator_ckpt/"
            "vqkd_encoder.pth",
        ),
    ),
)
data_preprocessor = dict(
    type="TwoNormDataPreprocessor",
    mean=_base_.pixel_mean,
    std=_base_.pixel_std,
    second_mean=[127.5, 127.5, 127.5],
    second_std=[127.5, 127.5, 127.5],
    to_rgb=True,
)
