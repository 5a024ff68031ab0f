import os

import pytest
from dataset_folders import concat, config, folder, repeat
from mmengine.config import Config

from mim_plugins.cli.data_root import apply_data_root, check_data_folders, use_drop_ins
from mim_plugins.errors import ConfigError, DataNotFoundError


@pytest.mark.parametrize("same", ["A", "A/", "./A", os.path.abspath("A")])
def test_parts_with_a_common_folder_use_the_new_folder(same):
    parts = folder("A", data_prefix="train"), folder(same, data_prefix="extra"), folder("")
    cfg = config(concat(*parts))

    apply_data_root(cfg, "C")

    assert [part.data_root for part in cfg.train_dataloader.dataset.datasets] == ["C"] * 3


@pytest.mark.parametrize("value", [["A", "B"], ("A", "B")])
@pytest.mark.parametrize("key", ["data_root", "data_prefix", "ann_file"])
@pytest.mark.parametrize("kind", ["UnlabeledImageFolder", "CustomDataset"])
@pytest.mark.parametrize("scope", ["", "mim_plugins.", "mim_plugins.datasets."])
def test_list_instead_of_a_single_path_is_rejected(key, value, kind, scope):
    cfg = config(repeat({"type": f"{scope}{kind}", key: value}))

    with pytest.raises(ConfigError, match=rf"^{kind}: {key}=.*ConcatDataset.*data_root='A'"):
        check_data_folders(cfg)


def test_mmpretrain_class_folders_use_the_shared_scan(tmp_path):
    train = concat(repeat(dict(type="CustomDataset", data_root="A")), folder("B"))
    cfg = config(train, dict(type="mmpretrain.ImageNet", data_root="A", split="val"))

    text = use_drop_ins(cfg)

    kinds = [part.get("dataset", part).type for part in cfg.train_dataloader.dataset.datasets]
    assert kinds == ["mim_plugins.LabeledImageFolder", "mim_plugins.UnlabeledImageFolder"]
    assert cfg.val_dataloader.dataset.type == "mim_plugins.ImageNet"
    assert "mim_plugins.ImageNet, mim_plugins.LabeledImageFolder" in text
    assert use_drop_ins(cfg) is None


def test_types_of_another_scope_are_unchanged():
    cfg = config(dict(type="CustomDataset", data_root="A"))
    cfg.default_scope = "mine"

    assert use_drop_ins(cfg) is None
    assert cfg.train_dataloader.dataset.type == "CustomDataset"


@pytest.fixture
def cfg():
    return Config(
        dict(
            train_dataloader=dict(dataset=repeat(dict(type="A", data_root="a"))),
            val_dataloader=dict(dataset=dict(type="B", data_root="a")),
            test_dataloader=None,
        )
    )


def test_data_root_applies_inside_wrappers(cfg):
    apply_data_root(cfg, "new")
    assert cfg.train_dataloader.dataset.dataset.data_root == "new"
    assert cfg.val_dataloader.dataset.data_root == "new"


@pytest.mark.parametrize("as_list", [False, True])
def test_evaluator_annotations_follow_the_data_root(cfg, as_list):
    metric = dict(type="CocoMetric", ann_file="a/annotations/val.json")
    cfg.val_evaluator = [metric, dict(type="Other")] if as_list else metric
    cfg.test_evaluator = dict(type="CocoMetric", ann_file="elsewhere/a/val.json")
    apply_data_root(cfg, "new/coco")
    found = cfg.val_evaluator[0] if as_list else cfg.val_evaluator
    assert found.ann_file == "new/coco/annotations/val.json"
    assert cfg.test_evaluator.ann_file == "elsewhere/a/val.json"


def test_missing_coco_folder_is_reported_with_its_layout(cfg):
    cfg.val_dataloader.dataset.type = "CocoDataset"
    with pytest.raises(DataNotFoundError, match=r"annotations/instances_val2017\.json"):
        check_data_folders(cfg, ("val_dataloader",))


def test_no_data_root_leaves_the_config_unchanged(cfg):
    apply_data_root(cfg, None)
    assert cfg.val_dataloader.dataset.data_root == "a"


def test_missing_data_folder_is_reported_with_a_remedy(cfg):
    with pytest.raises(DataNotFoundError, match=r"'a'.*--data-root"):
        check_data_folders(cfg, ("val_dataloader",))


def test_existing_data_passes(cfg, tmp_path):
    apply_data_root(cfg, str(tmp_path))
    check_data_folders(cfg)


def test_missing_ade20k_folder_is_reported(tmp_path):
    (tmp_path / "images/validation").mkdir(parents=True)
    prefix = dict(img_path="images/training", seg_map_path="annotations/training")
    dataset = dict(type="ADE20KDataset", data_root=str(tmp_path), data_prefix=prefix)
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    with pytest.raises(DataNotFoundError, match=r"images/training.*annotations/validation/"):
        check_data_folders(cfg)
    for name in prefix.values():
        (tmp_path / name).mkdir(parents=True)
    check_data_folders(cfg)


@pytest.mark.parametrize("new", [None, "."])
def test_data_root_that_is_a_dict_is_reported_in_one_line(new):
    cfg = config(folder(dict(a="A", b="B")))
    apply_data_root(cfg, new)
    if new is None:
        with pytest.raises(ConfigError, match=r"data_root=\{'a': 'A', 'b': 'B'\} must be one path"):
            check_data_folders(cfg)
