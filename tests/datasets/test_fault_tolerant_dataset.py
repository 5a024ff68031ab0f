import pickle

import pytest
from image_files import corrupt_files, good_files
from mmengine.registry import DefaultScope

from mim_plugins.datasets import FaultTolerantDataset, replacement_index
from mim_plugins.errors import CorruptImageError
from mim_plugins.registry import DATASETS


@pytest.fixture
def config(tmp_path):
    """Return mmpretrain's data set of three good images of class a and a corrupt one of class b."""
    for name in ("a/0.jpg", "a/1.jpg", "a/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(good_files()["rgb.jpg"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b/3.jpg").write_bytes(corrupt_files()["half.jpg"][0])
    pipeline = [dict(type="mim_plugins.LoadImage"), dict(type="PackInputs")]
    return dict(type="CustomDataset", data_prefix=str(tmp_path), pipeline=pipeline)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def build(config, **options):
    return DATASETS.build(dict(type="mim_plugins.FaultTolerantDataset", dataset=config, **options))


def test_good_samples_pass_as_they_are(config):
    inner = DATASETS.build(config)
    assert FaultTolerantDataset(inner).dataset is inner
    dataset = build(config)
    dataset.full_init()
    assert len(dataset) == 4
    assert dataset.metainfo["classes"] == ("a", "b")
    assert dataset.get_data_info(3)["img_path"].endswith("b/3.jpg")
    assert dataset[0]["data_samples"].gt_label.item() == 0
    assert "corrupt_images" not in dataset[0]["data_samples"].metainfo


def test_image_and_label_of_a_corrupt_sample_are_replaced(config):
    dataset = build(config)
    sample = dataset[3]["data_samples"]
    assert sample.img_path == dataset.get_data_info(replacement_index(3, 1, 4))["img_path"]
    assert sample.gt_label.item() == 0
    (path,) = sample.corrupt_images
    assert path.endswith("b/3.jpg")
    assert "truncated" in sample.corrupt_images[path]


def test_stop_raises_at_the_first_corrupt_image(config):
    with pytest.raises(CorruptImageError, match=r"b/3\.jpg': truncated"):
        build(config, on_corrupt="stop")[3]


def test_other_loading_transforms_meet_corrupt_images_too(config, tmp_path):
    (tmp_path / "b/3.jpg").write_bytes(b"x")
    config["pipeline"][0] = dict(type="LoadImageFromFile")
    assert len(build(config)[3]["data_samples"].corrupt_images) == 1
    with pytest.raises(CorruptImageError, match=r"b/3\.jpg': not an image"):
        build(config, on_corrupt="stop")[3]


def test_evaluation_data_and_other_choices_are_refused(config):
    with pytest.raises(ValueError, match="test_mode=True"):
        build(config | dict(test_mode=True))
    with pytest.raises(ValueError, match="on_corrupt='skip' must be one of"):
        build(config, on_corrupt="skip")


def test_classes_can_be_balanced_around_it(config):
    tolerant = dict(type="mim_plugins.FaultTolerantDataset", dataset=config)
    balanced = DATASETS.build(
        dict(type="ClassBalancedDataset", oversample_thr=0.5, dataset=tolerant)
    )

    labels = [balanced.get_cat_ids(index)[0] for index in range(len(balanced))]
    assert labels == [0, 0, 0, 1, 1]  # one of four becomes two
    assert all(balanced[index]["data_samples"].gt_label.item() == 0 for index in range(5))


def test_what_else_the_wrapped_data_set_has_is_reached(config):
    dataset = pickle.loads(pickle.dumps(build(config)))

    assert dataset.get_gt_labels().tolist() == [0, 0, 0, 1]
    assert dataset.CLASSES == ("a", "b")
    with pytest.raises(AttributeError, match="nonsense"):
        dataset.nonsense  # noqa: B018


def test_it_wraps_and_is_wrapped_by_mmengines_wrappers(config):
    joined = dict(type="ConcatDataset", datasets=[config, config])
    outer = DATASETS.build(
        dict(
            type="RepeatDataset",
            times=2,
            dataset=dict(type="mim_plugins.FaultTolerantDataset", dataset=joined),
        )
    )
    assert len(outer) == 16
    assert "corrupt_images" in outer[7]["data_samples"].metainfo
