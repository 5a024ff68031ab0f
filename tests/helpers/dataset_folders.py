"""Configs of runs that read folders of images."""

from mmengine.config import Config


def folder(root, **settings):
    return dict(type="mim_plugins.UnlabeledImageFolder", data_root=root, **settings)


def concat(*parts):
    return dict(type="ConcatDataset", datasets=list(parts))


def repeat(part):
    return dict(type="RepeatDataset", times=2, dataset=part)


def config(train, val=None):
    return Config(
        dict(
            train_dataloader=dict(dataset=train),
            val_dataloader=None if val is None else dict(dataset=val),
            default_scope="mmpretrain",
        )
    )
