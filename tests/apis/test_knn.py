import pytest
from mmengine.config import Config

from mim_plugins.apis.knn import knn_dataset_configs
from mim_plugins.errors import ConfigError


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
