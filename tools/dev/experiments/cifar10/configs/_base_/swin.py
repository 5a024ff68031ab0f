"""Encoder of MixMAE and SimMIM: 8x8 tokens of 4x4 pixels, then 4x4 tokens; one window per stage."""

swin = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=[64, 128], depths=[2, 4], num_heads=[2, 4]),
    img_size=32,
    patch_size=4,
    window_size=[8, 4],
)
