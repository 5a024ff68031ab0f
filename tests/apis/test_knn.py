import pytest
from image_folders import write_classes
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mim_plugins.apis.knn import knn_dataset_configs
from mim_plugins.errors import ConfigError
from mim_plugins.evaluation.knn_loaders import build_knn_loaders


def config(train, **more):
    return Config(dict(train_dataloader=dict(dataset=train), **more))


def test_pretraining_configs_use_class_folders_of_their_data():
    cfg = config(dict(type="RepeatDataset", times=2, dataset=dict(data_root="images")))
    folders = [each["data_root"] for each in knn_dataset_configs(cfg)]
    others = knn_dataset_configs(cfg, "others")
    assert folders == ["images", "images"]
    assert others == tuple(dict(data_root="others", data_prefix=p) for p in ("train", "val"))


def test_several_pretraining_folders_are_refused():
    parts = [dict(data_root="a"), dict(data_root="b")]
    cfg = config(dict(type="ConcatDataset", datasets=parts))
    with pytest.raises(ConfigError, match=r"2 folders \(a, b\).*--data-root"):
        knn_dataset_configs(cfg)
    assert knn_dataset_configs(cfg, "c")[0]["data_root"] == "c"


def test_classification_configs_use_the_validation_pipeline():
    parts = [dict(ann_file=f"{n}.txt", pipeline=["augment"]) for n in range(2)]
    queries = dict(ann_file="val.txt", pipeline=["crop"])
    wrapped = dict(type="RepeatDataset", dataset=dict(type="ConcatDataset", datasets=parts))
    cfg = config(wrapped, val_dataloader=dict(dataset=queries))

    references, found = knn_dataset_configs(cfg)

    assert references["type"] == "ConcatDataset"
    assert [p["ann_file"] for p in references["datasets"]] == ["0.txt", "1.txt"]
    assert all(p["pipeline"] == ["crop"] for p in references["datasets"])
    assert found == queries


def test_pretraining_pipelines_that_normalize_are_refused():
    steps = [dict(type="LoadImageFromFile"), dict(type="mmcv.Normalize", mean=[1.0], std=[2.0])]
    with pytest.raises(ConfigError, match="train_dataloader: the pipeline contains Normalize"):
        knn_dataset_configs(config(dict(data_root="images", pipeline=steps)))


@pytest.mark.parametrize(
    "name", ["RepeatDataset", "mmengine.ClassBalancedDataset", "mim_plugins.FaultTolerantDataset"]
)
def test_wrappers_that_repeat_images_are_dropped(name):
    base = dict(ann_file="a.txt", pipeline=["crop"])
    part = dict(type=name, dataset=base)
    joined = dict(type="ConcatDataset", datasets=[part, part])
    cfg = config(part, val_dataloader=dict(dataset=joined))
    references, queries = knn_dataset_configs(cfg)
    assert references == base
    assert queries == dict(type="ConcatDataset", datasets=[base, base])


def test_wrappers_that_choose_images_are_kept(tmp_path):
    pytest.importorskip("mmpretrain", exc_type=ImportError)
    root = str(write_classes(tmp_path, "ab", images=5))
    steps = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=16), dict(type="PackInputs")]
    base = dict(type="CustomDataset", data_root=root, data_prefix="train", pipeline=[])

    def fold(is_test, pipeline):
        chosen = dict(type="KFoldDataset", fold=1, num_splits=5, test_mode=is_test)
        return chosen | dict(dataset=dict(base, pipeline=pipeline))

    repeated = dict(type="RepeatDataset", times=3, dataset=fold(False, []))
    cfg = config(repeated, val_dataloader=dict(dataset=fold(True, steps)))
    assert knn_dataset_configs(cfg) == (fold(False, steps), fold(True, steps))

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        loaders = build_knn_loaders(knn_dataset_configs(cfg), 16, 4, 0, (None, None))
    paths = [
        {each.img_path for batch in loader for each in batch["data_samples"]} for loader in loaders
    ]
    assert [len(each) for each in paths] == [8, 2]
    assert not paths[0] & paths[1]
