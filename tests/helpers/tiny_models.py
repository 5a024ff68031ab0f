"""Configs of small models that several test files share."""

# encoder stride 16, mask grid 4x4 at 64 pixels, stage grids 16, 8, 4
TINY_BACKBONES = dict(
    large_windows=dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4)),
        img_size=64,
        window_size=(8, 8, 4),
    ),
    # 3 divides none of the grids, which combines padding, cyclic shift and image mask
    shifted_windows=dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(2, 2, 2), num_heads=(1, 2, 4)),
        img_size=64,
        window_size=3,
        shift_windows=True,
    ),
    pvt=dict(
        type="mim_plugins.MaskedPVT",
        arch=dict(
            embed_dims=(8, 16, 32), depths=(1, 2, 1), num_heads=(1, 2, 4), mlp_ratios=(2, 2, 2)
        ),
        img_size=64,
    ),
)
