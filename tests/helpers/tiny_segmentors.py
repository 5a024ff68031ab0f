"""Changes of the ADE20K configs that make the segmentors small."""

# one of each backbone with its neck
TINY = dict(
    upernet_mixmae_swin_b_160k={
        "model.backbone.arch": dict(
            _delete_=True, embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)
        ),
        "model.decode_head.in_channels": [8, 16, 32, 64],
        "model.auxiliary_head.in_channels": 32,
    },
    upernet_mrmae_vit_b_160k={
        "model.backbone.arch": dict(_delete_=True, depth=4, embed_dims=8, num_heads=2),
        "model.backbone.out_indices": (0, 1, 2, 3),
        "model.neck.embed_dim": 8,
        "model.decode_head.in_channels": [8, 8, 8, 8],
        "model.auxiliary_head.in_channels": 8,
    },
    upernet_mrmae_mcmae_b_160k={
        "model.backbone.arch": dict(
            _delete_=True, depths=(1, 1, 2), embed_dims=(8, 16, 32), mlp_ratios=(2, 2, 2),
            num_heads=2,
        ),
        "model.neck.channels": 32,
        "model.decode_head.in_channels": [8, 16, 32, 32],
        "model.auxiliary_head.in_channels": 32,
    },
)  # fmt: skip
