"""Folders of labeled images, and a classifier for them."""

import numpy as np
from mmengine.registry import DATASETS, MODELS, DefaultScope
from PIL import Image

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(32, 32)),
    dict(type="PackInputs"),
]


def write_folders(root, train=("a", "b", "c"), val=None, images=2):
    """``images`` pictures of noise for each class of both splits; ``val`` has train's if None."""
    generator = np.random.default_rng(0)
    for split, names in (("train", train), ("val", train if val is None else val)):
        for name in names:
            (root / split / name).mkdir(parents=True)
            for index in range(images):
                pixels = generator.integers(0, 255, (40, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{index}.png")
    return root


def folder_dataset(root, split="train", **settings):
    cfg = dict(type="CustomDataset", data_root=str(root), data_prefix=split, pipeline=PIPELINE)
    return build(DATASETS, cfg | settings)


def build(registry, cfg):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return registry.build(cfg)


def classifier(classes=3, head=None, backbone=None, preprocessor=None, augments=None):
    """A small classifier of images of 32 x 32 pixels."""
    small = dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
        img_size=32,
        window_size=4,
        out_type="avg_featmap",
    )
    linear = dict(type="LinearClsHead", num_classes=classes, in_channels=16)
    normal = dict(mean=[0.0] * 3, std=[1.0] * 3, num_classes=classes)
    return build(
        MODELS,
        dict(
            type="ImageClassifier",
            backbone=small | (backbone or {}),
            head=linear if head is None else head,
            data_preprocessor=normal | (preprocessor or {}),
            train_cfg=dict(augments=augments) if augments else None,
        ),
    )
