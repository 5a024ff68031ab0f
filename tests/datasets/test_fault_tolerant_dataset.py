import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from band_images import npy, scene
from image_files import corrupt_files, good_files
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.registry import DefaultScope
from mmpretrain.engine.hooks import SwitchRecipeHook
from torch.utils.data import DataLoader, Subset

from mim_plugins.datasets import FaultTolerantDataset, replacement_index
from mim_plugins.errors import CorruptImageError
from mim_plugins.registry import DATASETS
from mim_plugins.transforms import LoadImage, PackInputs


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


class Failing:
    """Transform with a bug in samples whose path ends in ``end``."""

    def __init__(self, end):
        self.end = end

    def __call__(self, results):
        if str(results["img_path"]).endswith(self.end):
            raise KeyError("gt_bboxes")
        return results


class Images(BaseDataset):
    """Images of a list of paths, loaded by the transforms given."""

    def __init__(self, paths, *transforms):
        self.paths = paths
        super().__init__(pipeline=[*transforms, PackInputs()], serialize_data=False)

    def load_data_list(self):
        return [dict(img_path=path) for path in self.paths]


def load_blank(results):
    """Load any file, as a transform for a format that LoadImage lacks."""
    return dict(results, img=np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("on_corrupt", ["replace", "stop"])
@pytest.mark.parametrize("wrap", [lambda images: images, lambda images: Subset(images, range(3))])
def test_bug_of_a_later_transform_is_no_corruption(tmp_path, on_corrupt, wrap):
    paths = [str(tmp_path / f"{index}.nii.gz") for index in range(3)]
    images = wrap(Images(paths, load_blank, Failing("1.nii.gz")))
    dataset = FaultTolerantDataset(images, on_corrupt)
    assert dataset[0]["inputs"].shape == (3, 4, 4)
    with pytest.raises(KeyError, match="gt_bboxes"):
        dataset[1]


def test_corruption_is_decided_with_the_pipelines_file_backend(tmp_path):
    for name, data in (("0.jpg", good_files()["rgb.jpg"]), ("1.jpg", b"x"), ("2.jpg", b"")):
        (tmp_path / name).write_bytes(data)
    read = LoadImageFromFile(backend_args=dict(backend="local", renamed=str(tmp_path)))
    paths = [f"bucket/{index}.jpg" for index in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            fileio, "get", lambda path, backend_args: _renamed(path, **backend_args).read_bytes()
        )
        dataset = FaultTolerantDataset(Images(paths, read, Failing("0.jpg")), "stop")
        with pytest.raises(KeyError, match="gt_bboxes"):
            dataset[0]
        with pytest.raises(CorruptImageError, match=r"'bucket/1\.jpg': not an image"):
            dataset[1]
        with pytest.raises(CorruptImageError, match=r"'bucket/2\.jpg': empty"):
            dataset[2]


def _renamed(path, backend, renamed):
    return Path(renamed) / Path(path).name


def test_sample_of_several_data_sets_is_decided_by_its_own(tmp_path):
    (tmp_path / "0.jpg").write_bytes(good_files()["rgb.jpg"])
    for number, data in enumerate([npy(scene(4)), npy(scene(4)), b"x"]):
        (tmp_path / f"{number}.npy").write_bytes(data)
    bands = LoadImage(bands=dict(channels=4))
    scenes = [str(tmp_path / f"{number}.npy") for number in range(3)]
    parts = [
        Images([str(tmp_path / "0.jpg")], LoadImage()),
        Images(scenes, bands, Failing("1.npy")),
    ]
    dataset = FaultTolerantDataset(ConcatDataset(parts), "stop")
    assert "corrupt_images" not in dataset[1]["data_samples"].metainfo
    with pytest.raises(KeyError, match="gt_bboxes"):
        dataset[2]
    with pytest.raises(CorruptImageError, match=r"2\.npy"):
        dataset[3]


def test_samples_of_several_files_keep_their_error():
    with pytest.raises(AssertionError):  # of MMEngine
        FaultTolerantDataset(Images([["a.tif", "b.tif"]], LoadImageFromFile()))[0]


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


def test_pipeline_that_a_hook_sets_is_that_of_the_samples(config):
    dataset = FaultTolerantDataset(pickle.loads(pickle.dumps(build(config))))
    runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=DataLoader(dataset)))

    SwitchRecipeHook._switch_train_pipeline(runner, lambda info: info["gt_label"] + 10)

    assert dataset[0] == 10
    assert dataset.dataset.dataset.pipeline is dataset.pipeline


def test_other_assignments_reach_the_data_set_too(config):
    dataset = build(config)
    inner = dataset.dataset

    dataset.max_refetch, dataset.on_corrupt, dataset._private = 3, "stop", 1

    assert inner.max_refetch == dataset.max_refetch == 3
    assert not {"on_corrupt", "_private"} & vars(inner).keys()
    with pytest.raises(CorruptImageError):
        dataset[3]


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
