"""Which files are images follows from the loading transform."""

import numpy as np
import pytest
from band_images import write_scenes
from image_folders import write_tiny_images
from mmengine.dataset import ConcatDataset, RepeatDataset

from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder
from mim_plugins.datasets.wrappers import loading_bands
from mim_plugins.evaluation.labeled_loader import build_labeled_loader

pytest.importorskip("tifffile")
BANDS = dict(channels=4)
LOADERS = [
    dict(type="mim_plugins.LoadImage", bands=BANDS),
    dict(type="mim_plugins.LoadRandomResizedCrop", scale=8, bands=BANDS),
]


@pytest.fixture
def root(tmp_path):
    for name in "ab":
        write_scenes(tmp_path / name, 2, suffix=".npy", bands=4)
        write_tiny_images(tmp_path / name, "x.png")
    return tmp_path


@pytest.mark.parametrize("kind", [UnlabeledImageFolder, LabeledImageFolder])
@pytest.mark.parametrize("loader", LOADERS)
def test_numpy_files_are_images_of_loaders_of_bands_only(root, kind, loader):
    colors = [dict(type="mim_plugins.LoadImage")]
    assert len(kind(data_root=str(root), pipeline=[loader])) == 6
    assert len(kind(data_root=str(root), pipeline=colors)) == 2
    assert len(kind(data_root=str(root), pipeline=[])) == 2


def test_bands_are_found_within_wrappers():
    inner = dict(type="A", pipeline=[dict(type="X"), LOADERS[1]])
    for dataset in (
        inner,
        dict(type=RepeatDataset, dataset=inner),
        dict(type=ConcatDataset, datasets=[inner, inner]),
    ):
        assert loading_bands(dataset) == BANDS
    for dataset in (None, dict(type="A"), dict(type="A", pipeline=[dict(type="X")])):
        assert loading_bands(dataset) is None


def test_images_of_evaluations_are_cropped_with_all_bands(root):
    (root / "a/x.png").unlink()
    (root / "b/x.png").write_bytes(b"no image")
    loader = build_labeled_loader(
        dict(data_root=str(root)), (8, 16), batch_size=8, num_workers=0, bands=BANDS
    )
    (batch,) = loader
    assert batch["inputs"].shape == (5, 4, 8, 16)
    assert np.isfinite(batch["inputs"]).all()
    assert "corrupt_images" in batch["data_samples"][4]
