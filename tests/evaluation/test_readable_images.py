import pickle

import pytest
from image_files import corrupt_files, good_files
from mmengine.registry import DefaultScope

from mim_plugins.datasets import UnlabeledImageFolder, replacement_index
from mim_plugins.errors import CorruptImageError
from mim_plugins.evaluation.readable_images import ReadableImages, corruption_record

pytest.importorskip("mmpretrain", exc_type=ImportError)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture
def make(tmp_path):
    """Return a data set of the images given by name and content, and of two good ones."""

    def build(loader="LoadImageFromFile", good=2, **files):
        for index in range(good):
            (tmp_path / f"good_{index}.jpg").write_bytes(good_files()["rgb.jpg"])
        for name, data in files.items():
            (tmp_path / f"{name}.jpg").write_bytes(data)
        pipeline = [dict(type=loader), dict(type="PackInputs")]
        return UnlabeledImageFolder(str(tmp_path), pipeline=pipeline, test_mode=True)

    return build


@pytest.mark.parametrize(
    "loader", ["LoadImageFromFile", "mim_plugins.LoadImage", "mmcv.LoadImageFromFile"]
)
@pytest.mark.parametrize("content", [b"", b"x", corrupt_files()["half.jpg"][0]])
def test_a_corrupt_image_is_marked_whatever_loads_it(make, loader, content):
    dataset = ReadableImages(make(loader, bad=content))

    sample = dataset[0]["data_samples"]

    (path,) = corruption_record(sample)
    assert path.endswith("bad.jpg")
    assert "bad.jpg" in corruption_record(sample)[path]
    other = dataset.dataset.get_data_info(replacement_index(0, 1, 3))["img_path"]
    assert sample.img_path == other
    assert not corruption_record(dataset[1]["data_samples"])
    assert len(dataset) == 3


def test_one_good_image_among_many_corrupt_ones_is_found(make):
    dataset = ReadableImages(make(good=1, **{f"bad_{index}": b"x" for index in range(40)}))
    assert len(corruption_record(dataset[7]["data_samples"])) >= 1
    assert all("good_0" in dataset[i]["data_samples"].img_path for i in range(0, 41, 10))


def test_a_folder_of_corrupt_images_is_an_error(make):
    with pytest.raises(CorruptImageError, match="2 successive corrupt images"):
        ReadableImages(make(good=0, first=b"x", second=b"y"))[0]


def test_other_errors_pass(make):
    dataset = make()
    dataset.pipeline.transforms.insert(1, lambda results: results["no such key"])
    with pytest.raises(KeyError, match="no such key"):
        ReadableImages(dataset)[0]


def test_it_reaches_the_workers(make):
    dataset = pickle.loads(pickle.dumps(ReadableImages(make(bad=b"x"))))
    assert corruption_record(dataset[0]["data_samples"])
    assert corruption_record(None) == {}
