"""Color order and normalization of pipelines."""

from types import SimpleNamespace

import pytest
from mmcv.transforms import Normalize
from mmengine.registry import TRANSFORMS, DefaultScope

from mim_plugins.datasets.pipelines import check_not_normalized, loads_bgr, transform_name
from mim_plugins.errors import ConfigError

LOAD, PACK = dict(type="LoadImageFromFile"), dict(type="PackInputs")
STATISTICS = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
NORMALIZING = dict(
    mmcv=dict(type="mmcv.Normalize", to_rgb=True, **STATISTICS),
    plain=dict(type="Normalize", **STATISTICS),
    imported=dict(type=Normalize, **STATISTICS),
    torchvision=dict(type="torchvision/Normalize", mean=[0.5], std=[0.2]),
    scaled=dict(type="torchvision/ToTensor"),
    scaled_tensor=dict(type="torchvision/ConvertImageDtype", dtype="float"),
    inside=dict(type="RandomApply", transforms=[dict(type="Normalize", **STATISTICS)]),
    chosen=dict(
        type="RandomChoice",
        transforms=[[dict(type="RandomFlip", prob=0.5)], [dict(type="Normalize", **STATISTICS)]],
    ),
)


def dataset_of(*steps):
    return dict(type="CustomDataset", pipeline=[LOAD, *steps, PACK])


def built(dataset):
    """Return the transforms of a config as a built data set has them."""
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        steps = [TRANSFORMS.build(step) for step in dataset["pipeline"]]
    inner = SimpleNamespace(pipeline=SimpleNamespace(transforms=steps))
    return SimpleNamespace(dataset=inner)


@pytest.mark.parametrize("name", NORMALIZING)
def test_pipelines_that_normalize_are_refused(name):
    dataset = dataset_of(NORMALIZING[name])
    wrapped = dict(type="RepeatDataset", dataset=dict(type="ConcatDataset", datasets=[dataset]))
    message = r"train_dataloader: the pipeline contains \w+, .* set mean and std"
    for given in (dict(dataset=wrapped), dataset):
        with pytest.raises(ConfigError, match=message):
            check_not_normalized(given, "train_dataloader")
    if name != "scaled_tensor":  # its dtype is not text
        with pytest.raises(ConfigError, match=message):
            check_not_normalized(built(dataset), "train_dataloader")


def test_other_pipelines_pass():
    flip = dict(type="RandomFlip", prob=0.5)
    tensor = dict(type="ToTensor", keys=["img"])  # mmcv's keeps the numbers
    for given in (dataset_of(flip, tensor), built(dataset_of(flip)), None, {}, object()):
        check_not_normalized(given, "train_dataloader")


def test_files_are_bgr_unless_a_transform_reverses_them():
    rgb, back = dict(type="NumpyToPIL", to_rgb=True), dict(type="PILToNumpy", to_bgr=True)
    for steps, expected in (((), True), ((rgb,), False), ((rgb, back), True)):
        assert loads_bgr(dataset_of(*steps)) == loads_bgr(built(dataset_of(*steps))) == expected
    assert not loads_bgr(dict(dataset=dict(type="CIFAR10", pipeline=[PACK])))
    assert not loads_bgr(None)


def test_names_have_neither_scope_nor_folder():
    for kind in ("Normalize", "mmcv.Normalize", "torchvision/Normalize", Normalize):
        assert transform_name(dict(type=kind)) == "Normalize"
    assert transform_name(Normalize(**STATISTICS)) == "Normalize"
