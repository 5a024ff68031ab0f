"""MAE of a small ViT on 10,000 CIFAR-10 images; all of its hyper-parameters."""

custom_imports = dict(imports=["mim_plugins", "cifar_arrays"], allow_failed_imports=False)

epochs, warmup_epochs, batch = 8, 1, 128
model = dict(
    type="mim_plugins.MRMAE",
    backbone=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=4, embed_dims=96, num_heads=3),
        img_size=32,
        patch_size=4,
    ),
    decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=64, depth=2, num_heads=2),
    head=dict(type="mim_plugins.PixelHead", norm_pix=True),
    mask_ratio=0.75,
    data_preprocessor=dict(
        type="mmengine.ImgDataPreprocessor", mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7]
    ),
)
train_dataloader = dict(
    batch_size=batch,
    num_workers=0,
    drop_last=True,
    sampler=dict(type="mmengine.DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="mim_plugins.CifarArrays", data_root="arrays", images=10_000),
)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1.5e-3, betas=(0.9, 0.95), weight_decay=0.05),
    constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, end=warmup_epochs, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=warmup_epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs)
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=26),
    checkpoint=dict(type="CheckpointHook", interval=4, save_optimizer=False),
)
randomness = dict(seed=0)
