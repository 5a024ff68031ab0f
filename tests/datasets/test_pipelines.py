"""Color order and normalization of pipelines."""

from types import SimpleNamespace

import pytest
from mmcv.transforms import Normalize
from mmengine.registry import TRANSFORMS, DefaultScope

from mim_plugins.datasets.pipelines import check_not_normalized, image_order, transform_name
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


class CIFAR10:
    """Data set that has the name of mmpretrain's."""

    def __init__(self, pipeline):
        self.pipeline = pipeline


class Images(CIFAR10):
    """Subclass with a name that is not known."""


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


def test_the_order_follows_from_loading_and_reversals():
    rgb, back = dict(type="NumpyToPIL", to_rgb=True), dict(type="PILToNumpy", to_bgr=True)
    for steps, expected in (((), "bgr"), ((rgb,), "rgb"), ((rgb, back), "bgr")):
        dataset = dataset_of(*steps)
        assert image_order(dataset) == image_order(built(dataset)) == expected
        memory = "bgr" if expected == "rgb" else "rgb"
        dataset["pipeline"].remove(LOAD)
        assert image_order(dict(dataset, type="mmpretrain.CIFAR10")) == memory
        dataset = built(dataset)
        assert image_order(Images(dataset.dataset.pipeline)) == memory


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["FixPath", "LoadImageFromFile"], "bgr"),
        (["FixPath", "mim_plugins.LoadRandomResizedCrop"], "bgr"),
        (["mmdet.LoadAnnotations", "LoadImage"], "bgr"),
        (["mmdet.LoadAnnotations", "LoadMultiChannelImageFromFiles"], None),
        (["LoadSingleRSImageFromFile"], None),
        (["LoadMultipleRSImageFromFile"], None),
        (["ReadTiff"], None),
        (["DecodeJPEG"], None),
        (["mmdet.LoadAnnotations"], None),
        (["LoadProposals", "ThreadedFlip"], None),
        (["OpenTiff"], None),
        ([], None),
    ],
)
def test_the_first_transform_that_loads_images_counts(steps, expected):
    pipeline = [dict(type=name) for name in steps]
    assert image_order(dict(dataset=dict(type="A", pipeline=[*pipeline, PACK]))) == expected
    memory = dict(type="CIFAR100", pipeline=[PACK])
    assert image_order([dict(pipeline=pipeline), memory]) == expected
    mixed = [dict(pipeline=pipeline), dataset_of()]
    assert image_order(dict(dataset=dict(type="ConcatDataset", datasets=mixed))) == "bgr"


def test_after_unknown_transforms_the_last_switch_counts():
    opening = dict(type="OpenTiff")
    rgb, back = dict(type="NumpyToPIL", to_rgb=True), dict(type="PILToNumpy", to_bgr=True)
    for steps, expected in (((), None), ((rgb,), "rgb"), ((rgb, back), "bgr"), ((back,), "bgr")):
        assert image_order(dict(type="Own", pipeline=[opening, *steps, PACK])) == expected


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST"])
def test_images_of_known_data_sets_in_memory_are_rgb(name):
    for scope in ("", "mmpretrain."):
        assert image_order(dict(type=scope + name, pipeline=[])) == "rgb"


def test_without_a_pipeline_the_order_is_unknown():
    for node in (None, {}, object(), dict(dataset=dict(type="A")), dict(pipeline=object())):
        assert image_order(node) is None


def test_names_have_neither_scope_nor_folder():
    for kind in ("Normalize", "mmcv.Normalize", "torchvision/Normalize", Normalize):
        assert transform_name(dict(type=kind)) == "Normalize"
    assert transform_name(Normalize(**STATISTICS)) == "Normalize"
