"""Images of several bands in memory, and features of files and arrays."""

import numpy as np
import pytest
import torch
from band_images import npy, scene, tiff, write_scenes
from image_files import encode, exif, picture
from PIL import Image

from mim_plugins import extract_features, get_model
from mim_plugins.apis.pixels import to_pixels
from mim_plugins.errors import ConfigError
from mim_plugins.transforms import LoadImage

pytest.importorskip("tifffile")
CHANNELS = 5


def load(channels=CHANNELS, **options):
    return LoadImage(bands=dict(channels=channels, **options))


def test_all_kinds_of_one_image_are_equal(tmp_path):
    pixels = scene(CHANNELS)
    (tmp_path / "x.tif").write_bytes(tiff(pixels))
    first = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    kinds = (
        tmp_path / "x.tif", tiff(pixels), npy(pixels), pixels, first, torch.from_numpy(first),
        torch.from_numpy(first).float(),
    )  # fmt: skip
    for kind in kinds:
        assert np.array_equal(to_pixels(kind, "x", load()), pixels.astype(np.float32))


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "F", "RGB", "RGBA", "CMYK"])
def test_pil_images_have_the_numbers_of_their_file(mode):
    image = Image.fromarray(picture()).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 200)
    channels = len(image.getbands())
    found = to_pixels(image, "x", load(channels))
    assert np.array_equal(found, to_pixels(encode(image, "TIFF"), "x", load(channels)))


def test_pil_images_are_turned_upright():
    image = Image.fromarray(picture()[:, :20])
    content = encode(image, "PNG", exif=exif(6))
    with Image.open(__import__("io").BytesIO(content)) as opened:
        found = to_pixels(opened, "x", load(3))
    assert found.shape == (20, 48, 3)
    assert np.array_equal(found, to_pixels(content, "x", load(3)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("P", (8, 8)), "mode P has no bands"),
        (Image.new("RGB", (8, 8)), "has 3 bands, but channels=5"),
        (np.zeros((8, 9, 4)), "has 4 bands, but channels=5"),
        (torch.zeros(4, 8, 9), "has 4 bands, but channels=5"),
        (torch.full((5, 8, 9), torch.nan), r"images\[0\]': unsupported \(all values are NaN"),
    ],
)
def test_other_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        to_pixels(image, "images[0]", load())


@pytest.fixture
def cfg(pretrain_cfg):
    pretrain_cfg.model.backbone.in_channels = CHANNELS
    pretrain_cfg.model.data_preprocessor.update(
        mean=[5000.0] * CHANNELS, std=[2000.0] * CHANNELS, bgr_to_rgb=False
    )
    pretrain_cfg.train_dataloader.dataset.pipeline[0].bands = dict(channels=CHANNELS, fill=5000)
    return pretrain_cfg


def test_features_of_files_and_arrays_are_equal(cfg, tmp_path):
    model = get_model(cfg)
    paths = sorted(write_scenes(tmp_path, 2, bands=CHANNELS).iterdir())
    pooled, maps = extract_features(model, paths)
    assert maps[0].shape == (2, 16, 4, 4)
    arrays = [scene(CHANNELS, seed=index) for index in range(2)]
    torch.testing.assert_close(extract_features(model, arrays).pooled, pooled)
    assert not torch.allclose(pooled[0], pooled[1])


def test_fill_of_the_config_replaces_missing_values(cfg):
    model = get_model(cfg)
    hole = scene(CHANNELS, dtype=np.float32)
    filled = hole.copy()
    hole[:9], filled[:9] = np.nan, 5000
    expected = extract_features(model, filled).pooled
    assert torch.equal(extract_features(model, hole).pooled, expected)


def test_channels_of_the_backbone_suffice_without_a_band_config(cfg):
    expected = extract_features(get_model(cfg), scene(CHANNELS)).pooled
    del cfg.train_dataloader.dataset.pipeline[0]["bands"]
    torch.manual_seed(0)
    model = get_model(cfg)
    assert extract_features(model, scene(CHANNELS)).pooled.shape == expected.shape
    with pytest.raises(ValueError, match="has 3 bands, but channels=5"):
        extract_features(model, picture())


def test_wrong_bands_of_a_config_are_one_line(cfg):
    cfg.train_dataloader.dataset.pipeline[0].bands = dict(channels=CHANNELS, fill=[1.0])
    get_model(cfg)
    cfg.train_dataloader.dataset.pipeline[0].bands.fill = [1.0, 2.0]
    with pytest.raises(ConfigError, match=r"LoadImage cannot be built: bands: fill=\[1.0, 2.0\]"):
        extract_features(get_model(cfg), scene(CHANNELS))
