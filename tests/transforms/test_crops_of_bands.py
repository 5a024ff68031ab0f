"""Random crops of images of several bands."""

import numpy as np
import pytest
from band_images import npy, scene, tiff
from image_files import good_files

from mim_plugins.transforms import LoadImage, LoadRandomResizedCrop

pytest.importorskip("tifffile")
BACKENDS = ("fast", "exact")


def crops(path, backend, bands, seeds=range(6)):
    load = LoadRandomResizedCrop((24, 32), flip_prob=0.5, backend=backend, bands=bands)
    load.reads_headers = False  # simplejpeg would decode a part, at another scale
    images = []
    for seed in seeds:
        np.random.seed(seed)
        images.append(load(dict(img_path=str(path)))["img"])
    return np.stack(images)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["rgb.jpg", "turned.jpg", "rgb.png", "rgb.tif"])
def test_three_bands_of_eight_bits_equal_colors(tmp_path, backend, name):
    path = tmp_path / name
    path.write_bytes(good_files()[name])
    colors = crops(path, backend, None)
    assert np.array_equal(crops(path, backend, dict(channels=3)), colors)
    assert len(np.unique(colors.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_crops_flips_and_resizes_are_equal_in_all_bands(tmp_path, backend, dtype):
    path = tmp_path / "x.tif"
    copies = np.repeat(scene(1, dtype=dtype), 13, axis=2)
    path.write_bytes(tiff(copies))
    found = crops(path, backend, dict(channels=13))
    assert found.shape == (6, 24, 32, 13)
    assert found.dtype == (np.uint8 if dtype is np.uint8 else np.float32)
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_bands_do_not_affect_each_other(tmp_path, backend):
    pixels = scene(13).astype(np.float32)
    paths = tmp_path / "all.npy", tmp_path / "one.npy"
    for path, content in zip(paths, (pixels, pixels[..., 5:6]), strict=True):
        path.write_bytes(npy(content))
    whole = crops(paths[0], backend, dict(channels=13))
    single = crops(paths[1], backend, dict(channels=1))
    np.testing.assert_allclose(whole[..., 5:6], single, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_floats_have_the_crop_of_bytes(tmp_path, backend):
    pixels = scene(5, dtype=np.uint8)
    paths = tmp_path / "bytes.npy", tmp_path / "floats.npy"
    for path, content in zip(paths, (pixels, pixels * np.float32(10)), strict=True):
        path.write_bytes(npy(content))
    rounded = crops(paths[0], backend, dict(channels=5)).astype(float)
    floats = crops(paths[1], backend, dict(channels=5)) / 10
    assert np.abs(rounded - floats.clip(0, 255)).max() < 1.5  # bytes are rounded in both passes


def test_missing_values_are_filled_before_resizing(tmp_path):
    pixels = scene(2, dtype=np.float32)
    pixels[:20] = np.nan
    (tmp_path / "x.npy").write_bytes(npy(pixels))
    bands = dict(channels=2, fill=[100.0, 200.0])
    whole = LoadImage(bands=bands)(dict(img_path=str(tmp_path / "x.npy")))["img"]
    assert (whole[:20] == [100, 200]).all()
    assert np.isfinite(crops(tmp_path / "x.npy", "fast", bands)).all()
