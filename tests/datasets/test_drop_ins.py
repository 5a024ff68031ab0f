import pytest
from image_folders import write_tiny_images
from mmengine.registry import DefaultScope

from mim_plugins.datasets.drop_ins import use_drop_in
from mim_plugins.registry import DATASETS

datasets = pytest.importorskip("mmpretrain.datasets", exc_type=ImportError)


@pytest.mark.parametrize(
    ("given", "scope", "expected"),
    [
        ("CustomDataset", "mmpretrain", "mim_plugins.LabeledImageFolder"),
        ("mmpretrain.CustomDataset", None, "mim_plugins.LabeledImageFolder"),
        ("mmpretrain.datasets.CustomDataset", None, "mim_plugins.LabeledImageFolder"),
        ("mmpretrain.ImageNet", "mmdet", "mim_plugins.ImageNet"),
        (datasets.CustomDataset, None, "mim_plugins.LabeledImageFolder"),
        (datasets.ImageNet, "mmengine", "mim_plugins.ImageNet"),
        ("CustomDataset", "mim_plugins", "mim_plugins.LabeledImageFolder"),
        ("ImageNet", "mim_plugins", "mim_plugins.ImageNet"),
        ("mim_plugins.ImageNet", "mim_plugins", None),
        ("CustomDataset", "mine", None),
        ("mine.CustomDataset", "mmpretrain", None),
        ("Places205", "mmpretrain", None),
        ("mim_plugins.UnlabeledImageFolder", "mmpretrain", None),
        (None, "mmpretrain", None),
    ],
)
def test_only_types_that_walk_by_themselves_are_replaced(given, scope, expected):
    cfg = dict(type=given, data_root="a")

    assert use_drop_in(cfg, scope) == expected
    assert cfg["type"] == (expected or given)


@pytest.mark.parametrize("key", ["data_root", "data_prefix", "ann_file"])
def test_remote_folders_stay_with_mmpretrain(key):
    place = "s3://bucket/images"
    cfg = dict(type="CustomDataset") | {key: place}
    assert use_drop_in(cfg) is None
    nested = dict(type="CustomDataset", data_prefix=dict(img_path=place))
    assert use_drop_in(nested) is None


@pytest.mark.parametrize(
    "arguments",
    [
        dict(data_prefix="train"),
        dict(data_prefix=dict(img_path="train")),
        dict(data_prefix="train", ann_file="list.txt"),
        dict(data_prefix="train", with_label=False),
        dict(data_prefix="train", classes=["x", "y"]),
        dict(data_prefix="train", metainfo=dict(classes=("x", "y"))),
        dict(data_prefix="train", extensions=(".png",)),
        dict(data_prefix="train", indices=1, lazy_init=True, test_mode=True),
    ],
)
def test_the_drop_in_reads_what_mmpretrains_does(tmp_path, arguments):
    write_tiny_images(tmp_path / "train", "b/0.jpg", "b/1.png", "a/sub/2.png", "a/3.gif")
    (tmp_path / "list.txt").write_text("b/0.jpg 5\na/sub/2.png 0\n")
    pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
    cfg = dict(type="mmpretrain.CustomDataset", data_root=str(tmp_path), pipeline=pipeline)
    cfg |= arguments
    ours = dict(cfg)
    use_drop_in(ours)

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        first, second = DATASETS.build(cfg), DATASETS.build(ours)
    for dataset in (first, second):
        dataset.full_init()

    assert type(second).__module__.startswith("mim_plugins")
    assert len(first) == len(second) > 0
    assert first.metainfo == second.metainfo
    for index in range(len(first)):
        info, other = first.get_data_info(index), second.get_data_info(index)
        assert info == other
        sample, twin = first[index], second[index]
        assert sample["inputs"].equal(twin["inputs"])
