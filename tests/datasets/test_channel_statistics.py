"""Means and standard deviations of channels."""

import numpy as np
import pytest
from band_images import dicom, npy, scene, tiff, write_scenes
from image_folders import write_images

from mim_plugins.datasets import channel_statistics as module
from mim_plugins.datasets.channel_statistics import channel_statistics
from mim_plugins.errors import DataNotFoundError
from mim_plugins.transforms import LoadImage

pytest.importorskip("tifffile")


def files(folder, *contents):
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index}.x" for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return list(map(str, paths))


@pytest.mark.parametrize("block", [1, 700, 1 << 22])
def test_statistics_are_those_of_all_pixels_at_once(tmp_path, block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    scenes = [scene(13, (14 + 3 * n, 20), seed=n).astype(np.float64) + 1e6 for n in range(4)]
    found = channel_statistics(files(tmp_path, *map(npy, scenes)), dict(channels=13))
    pixels = np.concatenate([each.reshape(-1, 13) for each in scenes]).astype(np.float32)
    pixels = pixels.astype(np.float64)
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(axis=0), rtol=1e-9)
    assert found.low == pixels.min(axis=0).tolist()
    assert found.high == pixels.max(axis=0).tolist()
    assert (found.images, found.missing) == (4, 0)
    assert found.shapes == [(14 + 3 * n, 20) for n in range(4)]


def test_normalized_pixels_have_mean_zero_and_deviation_one(tmp_path):
    folder = write_scenes(tmp_path / "a")
    paths = sorted(map(str, folder.iterdir()))
    found = channel_statistics(paths, dict(channels=13))
    load = LoadImage(bands=dict(channels=13))
    pixels = np.concatenate([load(dict(img_path=path))["img"] for path in paths])
    normalized = (pixels - np.array(found.mean)) / np.array(found.std)
    np.testing.assert_allclose(normalized.mean(axis=(0, 1)), 0, atol=1e-9)
    np.testing.assert_allclose(normalized.std(axis=(0, 1)), 1, rtol=1e-9)


def test_missing_values_are_left_out(tmp_path):
    pixels = scene(2, dtype=np.float32)
    expected = pixels[8:].reshape(-1, 2).astype(float)
    pixels[:8] = np.nan
    pixels[:8, ::2] = -9999
    found = channel_statistics(files(tmp_path, npy(pixels)), dict(channels=2, nodata=-9999))
    np.testing.assert_allclose(found.mean, expected.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, expected.std(axis=0), rtol=1e-9)
    assert found.missing == 8 / 40
    assert found.low == expected.min(axis=0).tolist()


def test_given_and_declared_no_data_are_left_out(tmp_path):
    pixels = scene(1, dtype=np.int16)
    expected = pixels[8:].astype(float)
    pixels[:4], pixels[4:8] = -9999, -1
    content = tiff(pixels.squeeze(), extratags=[(42113, "s", 0, "-9999", True)])
    found = channel_statistics(files(tmp_path, content), dict(channels=1, nodata=-1))
    np.testing.assert_allclose(found.mean, [expected.mean()], rtol=1e-12)
    assert found.missing == 8 / 40


INVERTED = dict(PhotometricInterpretation="MONOCHROME1")
RESCALED = dict(RescaleSlope="1", RescaleIntercept="-1024")
SIGNED = dict(PixelRepresentation=1)


@pytest.mark.parametrize(
    ("bits", "tags"),
    [
        (16, [{}, INVERTED]),
        (16, [{}, RESCALED]),
        (16, [SIGNED, RESCALED, INVERTED | SIGNED, INVERTED | RESCALED]),
        (8, [{}, INVERTED]),
    ],
)
def test_dicom_files_of_as_many_bits_have_one_type(tmp_path, bits, tags):
    pytest.importorskip("pydicom")
    stored = scene(1, dtype=np.uint8 if bits == 8 else np.uint16).squeeze() % 200
    paths = files(tmp_path, *(dicom(stored, **each) for each in tags))
    assert channel_statistics(paths, dict(channels=1)).images == len(tags)


def test_dicom_files_of_other_scales_are_refused(tmp_path):
    pytest.importorskip("pydicom")
    wide = scene(1, dtype=np.uint16).squeeze() % 200
    narrow = wide.astype(np.uint8)
    for index, (first, second) in enumerate(
        (
            (dicom(wide), dicom(narrow)),
            (dicom(narrow), dicom(narrow, **RESCALED)),  # one stays 8-bit
            (dicom(wide), dicom(wide.astype(np.float32))),
        )
    ):
        with pytest.raises(DataNotFoundError, match="have several types of numbers"):
            channel_statistics(files(tmp_path / str(index), first, second), dict(channels=1))


def test_colors_are_in_rgb_order(tmp_path):
    folder = write_images(tmp_path, 2, suffix="png", channel=0)
    paths = sorted(map(str, folder.iterdir()))
    found = channel_statistics(paths)
    assert found.mean[0] > 190 > 60 > max(found.mean[1:])
    assert found == channel_statistics(paths, dict(channels=3))


def test_corrupt_images_are_left_out_and_reported(tmp_path):
    paths = files(tmp_path, tiff(scene(2)), b"", b"x")
    found = channel_statistics(paths, dict(channels=2))
    assert found.images == 1
    assert [message.partition(": ")[2][:5] for message in found.corrupt] == ["empty", "not a"]


@pytest.mark.parametrize("kind", ["u2", "i2", "f4"])
def test_byte_orders_are_one_type_of_numbers(tmp_path, kind):
    pixels = scene(2).astype(f"<{kind}")
    for number, stored in enumerate((pixels, pixels.astype(f">{kind}"))):
        (tmp_path / f"{number}.npy").write_bytes(npy(stored))
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    one, both = (channel_statistics(each, dict(channels=2)) for each in (paths[:1], paths))
    assert both.images == 2
    np.testing.assert_allclose(both.mean, one.mean)
    np.testing.assert_allclose(both.std, one.std)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            [npy(scene(2)), npy(scene(3)), npy(scene(3, seed=1))],
            "2 of 3 images have another number",
        ),
        ([npy(scene(2)), npy(scene(2, dtype=np.uint8))], "1 of uint16, 1 of uint8.*convert them"),
        ([npy(np.ones((4, 4, 2)))], r"channel 0 \(counted from 0\) has one value everywhere"),
        ([b"", b"x"], "no image can be read: corrupt image '.*': empty"),
        ([], "no image can be read: there are none"),
    ],
)
def test_folders_without_one_kind_of_image_are_refused(tmp_path, contents, message):
    with pytest.raises(DataNotFoundError, match=message):
        channel_statistics(files(tmp_path, *contents), dict(channels=2))
