import os

import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mim_plugins.datasets.drop_ins import read_regular_files
from mim_plugins.transforms.regular_file_backend import REGULAR_FILE_BACKEND


def load(path):
    return LoadImageFromFile(backend_args=dict(backend=REGULAR_FILE_BACKEND))(dict(img_path=path))


def test_a_file_is_read_as_by_mmengine(tmp_path):
    path = str(tmp_path / "0.png")
    Image.effect_noise((8, 6), 50).save(path)
    assert (load(path)["img"] == LoadImageFromFile()(dict(img_path=path))["img"]).all()


def test_pipes_devices_and_missing_files_are_errors(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (str(tmp_path / "pipe.jpg"), "/dev/zero"):
        with pytest.raises(OSError, match="regular file"):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "gone.jpg"))


@pytest.mark.parametrize(
    ("dataset", "changed"),
    [
        (dict(type="mim_plugins.LabeledImageFolder"), True),
        (dict(type="mim_plugins.ImageNet", data_root="a"), True),
        (dict(type="mim_plugins.ImageNet", data_root="s3://a"), False),
        (dict(type="CocoDataset"), False),
    ],
)
def test_the_default_loader_of_own_data_sets_reads_by_it(dataset, changed):
    own = dict(type="LoadImageFromFile", backend_args=dict(backend="petrel"))
    dataset["pipeline"] = [dict(type="LoadImageFromFile"), own, dict(type="PackInputs")]
    read_regular_files(dataset)
    expected = dict(backend=REGULAR_FILE_BACKEND) if changed else None
    assert [step.get("backend_args") for step in dataset["pipeline"]] == [
        expected,
        dict(backend="petrel"),
        None,
    ]
