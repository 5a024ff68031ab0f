"""Bands of any number and type, in a known order, without silent omissions."""

import cv2
import numpy as np
import pytest
from band_images import gray_alpha_png, npy, scene, tiff
from image_files import READS_GIF, encode, good_files
from PIL import Image

from mim_plugins.errors import ConfigError, CorruptImageError
from mim_plugins.transforms import Bands, decode_image
from mim_plugins.transforms.band_files import RawBands

pytest.importorskip("tifffile")
COLORS = [name for name in good_files() if name.startswith(("rgb.", "progressive", "turned"))]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32, float])
@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_numbers_are_those_of_the_file(dtype, channels):
    pixels = scene(channels, dtype=dtype)
    for content in (tiff(pixels.squeeze()), npy(pixels), npy(pixels.transpose(2, 0, 1))):
        found = Bands(channels).decode(content)
        assert found.dtype == (np.uint8 if dtype is np.uint8 else np.float32)
        assert np.array_equal(found, pixels.astype(found.dtype))


@pytest.mark.parametrize("name", COLORS)
def test_eight_bit_colors_equal_those_of_the_usual_path(name):
    content = good_files()[name]
    assert np.array_equal(Bands(3).decode(content), decode_image(content))


@pytest.mark.parametrize(
    ("name", "found"), [("rgba.png", 4), ("gray.jpg", 1), ("cmyk.tif", 4), ("gray alpha.png", 2)]
)
def test_no_band_is_left_out_or_repeated(name, found):
    content = good_files()[name]
    assert Bands(found).decode(content).shape == (48, 64, found)
    with pytest.raises(CorruptImageError, match=f"has {found} bands, but channels=3; set") as error:
        Bands(3).decode(content, "x")
    assert error.value.kind == "wrong bands"


@pytest.mark.parametrize(("mode", "bands"), [("L", 1), ("RGB", 4), ("P", 4)])
def test_transparent_color_of_png_is_alpha_of_colors_alone(mode, bands):
    image = Image.fromarray(scene(3, dtype=np.uint8)).convert(mode)
    content = encode(image, "PNG", transparency=(1, 2, 3) if mode == "RGB" else 1)
    assert Bands(bands).decode(content).shape[2] == bands


def test_sixteen_bits_of_png_are_kept():
    gray = Bands(1).decode(good_files()["gray16.png"])
    assert gray.max() > 255
    assert np.array_equal(gray[..., 0] // 257, decode_image(good_files()["gray.png"])[..., 0])


@pytest.mark.parametrize("shape", [(13, 5, 13), (13, 13, 13)])
def test_ambiguous_axes_are_refused_unless_chosen(shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    with pytest.raises(CorruptImageError, match="elements on both ends; set axes='first' or"):
        Bands(13).decode(npy(array))
    assert np.array_equal(Bands(13, axes="last").decode(npy(array)), array)
    first = Bands(13, axes="first").decode(npy(array))
    assert np.array_equal(first, array.transpose(1, 2, 0))


def test_declared_axis_of_a_tiff_is_not_guessed():
    pixels = scene(13, (13, 20))
    assert np.array_equal(Bands(13).decode(tiff(pixels)), pixels)
    planes = tiff(np.ascontiguousarray(pixels.transpose(2, 0, 1)), planarconfig="separate")
    assert np.array_equal(Bands(13).decode(planes), pixels)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, -9999, 1e39])
def test_missing_values_become_the_fill_of_their_band(hole):
    pixels = scene(4, dtype=np.float64)
    pixels[3, 5, 2] = pixels[0, 0, 0] = hole
    content = npy(pixels)
    means = [1.0, 2.0, 3.0, 4.0]
    filled = Bands(4, fill=means, nodata=-9999).decode(content)
    assert (filled[3, 5, 2], filled[0, 0, 0]) == (3, 1)
    pixels[3, 5, 2], pixels[0, 0, 0] = 3, 1
    assert np.array_equal(filled, pixels.astype(np.float32))
    with pytest.raises(CorruptImageError, match="2 of 8000 values are NaN, infinite or no data"):
        Bands(4, nodata=-9999).decode(content)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_data_of_geotiff_is_missing(dtype):
    pixels = scene(2, dtype=dtype)
    pixels[:4] = 0
    tag = (42113, "s", 0, "0", True)
    image = Bands(2).read(tiff(pixels, extratags=[tag]))
    assert np.array_equal(image.missing, pixels == 0)
    filled = Bands(2, fill=7.4).decode(tiff(pixels, extratags=[tag]))
    expected = 7 if dtype is np.uint8 else np.float32(7.4)
    assert filled.dtype == (np.uint8 if dtype is np.uint8 else np.float32)
    assert (filled[:4] == expected).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("declared", [(7, 7), (7, 9), None])
def test_no_data_is_added_to_that_of_the_file(dtype, declared):
    pixels = scene(2, dtype=dtype)
    pixels[:3], pixels[3:6], pixels[6:9] = 7, 9, 5
    lowest, highest = declared or (0, -1)
    of_file = (pixels >= lowest) & (pixels <= highest)
    raw = RawBands(pixels, None, declared)
    assert np.array_equal(Bands(2, nodata=5).arrange(raw, "x").missing, of_file | (pixels == 5))
    missing = Bands(2, nodata=np.nan).arrange(raw, "x").missing
    assert np.array_equal(np.zeros(pixels.shape) if missing is None else missing, of_file)


@pytest.mark.parametrize("nodata", [0.5, -1, 70000, np.nan])
def test_no_data_beyond_the_type_marks_nothing(nodata):
    raw = RawBands(scene(2), None, (nodata, nodata))
    assert Bands(2).arrange(raw, "x").missing is None


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 5, 2), complex), "numbers of type complex128"),
        (np.zeros((4, 5, 2), bool), "numbers of type bool"),
        (np.full((4, 5, 2), np.nan), "all values are NaN"),
        (np.zeros((0, 5, 2)), "0 pixels"),
        (np.zeros((3, 4, 5, 2)), r"shape \(3, 4, 5, 2\); expected"),
        (np.zeros(7), r"shape \(7,\); expected"),
        (np.zeros((6, 7, 8)), r"shape \(6, 7, 8\) has 6 bands"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array, message):
    with pytest.raises(CorruptImageError, match=message):
        Bands(2).decode(npy(array), "x.npy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(channels=0), "channels=0 must be a number of bands"),
        (dict(channels=True), "channels=True"),
        (dict(channels=4, fill=[1, 2]), r"fill=\[1, 2\] must be one finite number, or one for"),
        (dict(channels=1, fill=np.nan), "fill=nan"),
        (dict(channels=1, fill="0"), "fill='0'"),
        (dict(channels=1, fill=[[0]]), "fill="),
        (dict(channels=1, nodata="0"), "nodata='0' must be a number"),
        (dict(channels=1, nodata=True), "nodata=True must be a number"),
        (dict(channels=4, axes="middle"), "axes='middle' must be one of"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Bands(**arguments)


def test_animations_have_the_bands_of_their_frames():
    frames = [Image.new("RGB", (12, 10), color) for color in ("red", "lime")]
    gif = [("GIF", {})] if READS_GIF else []
    for kind, options in (*gif, ("PNG", {}), ("WEBP", dict(lossless=True))):
        content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert Bands(3).decode(content)[0, 0].tolist() == [0, 0, 255], kind


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_with_alpha_has_two_bands(dtype):
    bands = scene(4, dtype=dtype)
    content = gray_alpha_png(bands[..., 0], bands[..., 1])
    assert np.array_equal(Bands(2).decode(content), bands[..., :2])
    assert (decode_image(content)[..., 0] == decode_image(content)[..., 2]).all()
    with pytest.raises(CorruptImageError, match="has 2 bands, but channels=4"):
        Bands(4).decode(content)
    rgba = cv2.imencode(".png", bands)[1].tobytes()
    assert np.array_equal(Bands(4).decode(rgba), bands[..., [2, 1, 0, 3]])
