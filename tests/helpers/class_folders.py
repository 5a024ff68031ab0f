"""Data sets of class folders, and classifiers of their images."""

from mmengine.registry import DATASETS, MODELS, DefaultScope

PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(32, 32)),
    dict(type="PackInputs"),
]
SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
    out_type="avg_featmap",
)


def folder_dataset(root, split="train", **settings):
    cfg = dict(type="CustomDataset", data_root=str(root), data_prefix=split, pipeline=PIPELINE)
    return build(DATASETS, cfg | settings)


def build(registry, cfg):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return registry.build(cfg)


def classifier(classes=3, head=None, backbone=None, preprocessor=None, augments=None):
    """Return a small classifier of images of 32 x 32 pixels."""
    linear = dict(type="LinearClsHead", num_classes=classes, in_channels=16)
    normal = dict(mean=[0.0] * 3, std=[1.0] * 3, num_classes=classes)
    return build(
        MODELS,
        dict(
            type="ImageClassifier",
            backbone=SWIN | (backbone or {}),
            head=linear if head is None else head,
            data_preprocessor=normal | (preprocessor or {}),
            train_cfg=dict(augments=augments) if augments else None,
        ),
    )


def finetune_config(root, classes=3, topk=(1,), **head):
    """Return the settings of a run that trains a small classifier for an epoch, and tests it."""

    def loader(split):
        dataset = dict(
            type="CustomDataset", data_root=str(root), data_prefix=split, pipeline=PIPELINE
        )
        sampler = dict(type="DefaultSampler", shuffle=False)
        return dict(batch_size=2, num_workers=0, dataset=dataset, sampler=sampler)

    metric = dict(type="Accuracy", topk=topk)
    return dict(
        default_scope="mmpretrain",
        model=dict(
            type="ImageClassifier",
            backbone=SWIN,
            head=dict(type="LinearClsHead", num_classes=classes, in_channels=16) | head,
        ),
        train_dataloader=loader("train"),
        val_dataloader=loader("val"),
        test_dataloader=loader("val"),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg=dict(),
        test_cfg=dict(),
        val_evaluator=metric,
        test_evaluator=metric,
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
    )
