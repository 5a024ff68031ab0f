"""``--data-root`` with loaders, hooks and lists that have separate folders."""

import pytest
from mmengine.config import Config

from mim_plugins.cli.data_root import apply_data_root, check_data_folders
from mim_plugins.errors import ConfigError


def part(root, **settings):
    return dict(type="CustomDataset", data_root=root, **settings)


def config(train, val=None, **hook):
    return Config(
        dict(
            train_dataloader=dict(dataset=train),
            val_dataloader=None if val is None else dict(dataset=val),
            custom_hooks=[dict(type="mim_plugins.KNNHook", **hook)],
        )
    )


@pytest.mark.parametrize(
    ("cfg", "named"),
    [
        (config(part("A/train"), part("A/val")), "val_dataloader.dataset.data_root"),
        (config(part("A"), part("B")), "val_dataloader.dataset.data_root"),
        (config(part("A"), dict(type="RepeatDataset", dataset=part("B"))), "val_dataloader"),
        (config(part("A"), references=part("B")), "custom_hooks.0.references.data_root"),
        (config(part("A"), part("A"), queries=dict(data_root="B")), "custom_hooks.0.queries"),
    ],
)
def test_folders_that_differ_between_readers_are_refused(cfg, named):
    before = cfg.pretty_text
    with pytest.raises(
        ConfigError, match=r" and \S+ read 2 folders .* one folder cannot replace"
    ) as error:
        apply_data_root(cfg, "C")
    assert named in str(error.value)
    assert cfg.pretty_text == before


def test_data_sets_of_hooks_follow_the_new_root():
    hook = dict(references=part("A", data_prefix="train"), queries=dict(data_prefix="val"))
    cfg = config(part("./A"), **hook)
    apply_data_root(cfg, "C")
    assert cfg.custom_hooks[0].references.data_root == "C"
    assert "data_root" not in cfg.custom_hooks[0].queries  # the root of the training set
    cfg = config(part("A"))
    cfg.default_hooks = dict(knn=dict(type="mim_plugins.KNNHook", references=part("A")))
    apply_data_root(cfg, "C")
    assert cfg.default_hooks.knn.references.data_root == "C"


@pytest.mark.parametrize("file", ["meta/train.txt", "train.json"])
def test_an_absolute_list_inside_the_old_root_follows(tmp_path, file):
    cfg = config(part(str(tmp_path), ann_file=str(tmp_path / file)))
    apply_data_root(cfg, "new")
    assert cfg.train_dataloader.dataset.ann_file == file  # relative to data_root


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        ([part("A"), part("B")], r"^val_dataloader\.dataset is a list of 2; .*ConcatDataset"),
        ([], r"is a list of 0"),
        (dict(type="ConcatDataset", datasets=[]), r"dataset\.datasets is empty; it must be a list"),
        (
            dict(type="ConcatDataset", datasets=part("A")),
            "datasets is ConfigDict; it must",
        ),
        (dict(type="ConcatDataset", datasets=None), "datasets is NoneType; it must"),
        (dict(type="RepeatDataset", dataset=[part("A")]), r"dataset\.dataset is a list of 1"),
        (dict(type="ConcatDataset", datasets=[[part("A")]]), r"datasets\.0 is a list of 1"),
    ],
)
def test_data_sets_of_another_form_are_refused(tmp_path, dataset, told):
    with pytest.raises(ConfigError, match=told):
        check_data_folders(config(part(str(tmp_path)), dataset))
