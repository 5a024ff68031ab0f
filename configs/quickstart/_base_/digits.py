# scikit-learn's handwritten digits as 32x32 gray images, drawn by tools/quickstart.sh, and a small
# encoder: 8x8 tokens of 4x4 pixels, then 4x4 tokens.
data_root = "work_dirs/quickstart/digits"
pretrain_epochs = 140
pretrain_checkpoint = f"work_dirs/quickstart/pretrain/epoch_{pretrain_epochs}.pth"
img_size = 32
backbone = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=[32, 64], depths=[2, 4], num_heads=[2, 4]),
    img_size=img_size,
    patch_size=4,
    window_size=[8, 4],
)
mean, std = [77.9] * 3, [95.9] * 3
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="RandomResizedCrop",
        scale=img_size,
        crop_ratio_range=(0.6, 1.0),
        interpolation="bicubic",
    ),
    dict(type="PackInputs"),
]
test_pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
loader = dict(num_workers=0, collate_fn=dict(type="default_collate"))
