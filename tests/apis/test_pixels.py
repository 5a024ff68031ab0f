import io

import cv2
import numpy as np
import pytest
import torch
from image_files import READS_GIF, corrupt_files, encode, good_files, oriented, picture
from PIL import Image, ImageOps
from remote_data import fake_web

from mim_plugins.apis.pixels import each_image, to_pixels
from mim_plugins.errors import CorruptImageError
from mim_plugins.transforms import decode_image

GOOD = good_files()
RGB = picture()
BGR = np.ascontiguousarray(RGB[..., ::-1])
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
ALPHA = np.tile(np.arange(64, dtype=np.uint8), (48, 1))


def three(gray):
    return np.stack([gray] * 3, axis=-1)


def distance(first, second):
    assert first.shape == second.shape
    return np.abs(first.astype(int) - second).max()


@pytest.mark.parametrize("name", GOOD)
def test_a_file_and_its_pil_image_give_the_same_pixels(name, tmp_path):
    (tmp_path / name).write_bytes(GOOD[name])
    by_path = to_pixels(tmp_path / name, "x")
    ways = [
        to_pixels(str(tmp_path / name), "x"),
        to_pixels(GOOD[name], "x"),
        to_pixels(memoryview(GOOD[name]), "x"),
        to_pixels(io.BytesIO(GOOD[name]), "x"),
        decode_image(GOOD[name]),
    ]
    assert all(np.array_equal(way, by_path) for way in ways)
    # Pillow rounds CMYK, chroma and 16-bit TIFF differently
    with Image.open(tmp_path / name) as image:
        assert distance(to_pixels(image, "x"), by_path) <= (4 if "jpg" in name else 2)


NUMBERS = {
    "bytes": (RGB, BGR),
    "16 bits": (RGB.astype(np.uint16) * 256 + 255, BGR),
    "16 bits, big-endian": ((RGB.astype(np.uint16) * 257).astype(">u2"), BGR),
    "float64": (RGB / 255, BGR),
    "float32": ((RGB / 255).astype(np.float32), BGR),
    "float16": ((RGB / 255).astype(np.float16), BGR),
    "with alpha": (np.dstack([RGB, ALPHA]), BGR),
    "16 bits with alpha": (np.dstack([RGB, ALPHA]).astype(np.uint16) * 257, BGR),
    "gray": (GREY, three(GREY)),
    "gray, one channel": (GREY[..., None], three(GREY)),
    "gray in 16 bits": (GREY.astype(np.uint16) * 257, three(GREY)),
    "gray floats": (GREY / 255, three(GREY)),
    "truth": (GREY > 99, three(np.where(GREY > 99, 255, 0))),
    "truth in color": (RGB > 99, np.where(BGR > 99, 255, 0)),
    "not contiguous": (RGB[::-1, ::-1], BGR[::-1, ::-1]),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_arrays_and_tensors_give_their_own_pixels(kind):
    array, expected = NUMBERS[kind]
    found = to_pixels(array, "x")
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert np.array_equal(found, expected)
    native = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("="))
    tensor = torch.from_numpy(native)
    tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor
    assert np.array_equal(to_pixels(tensor, "x"), expected)
    if tensor.is_floating_point():
        assert np.array_equal(to_pixels(tensor.requires_grad_(), "x"), expected)
        assert distance(to_pixels(tensor.bfloat16(), "x"), expected) <= 1


def clear():
    image = Image.fromarray(RGB)
    image.putalpha(Image.fromarray(ALPHA))
    return image


PALETTE = Image.fromarray(RGB).quantize(64)
PALETTE_BGR = np.asarray(PALETTE.convert("RGB"))[..., ::-1]
BRIGHT = Image.fromarray(three(GREY) // 2 + 100)
IMAGES = {
    "RGB": (Image.fromarray(RGB), BGR),
    "RGBA": (clear(), BGR),
    "RGBX": (Image.fromarray(RGB).convert("RGBX"), BGR),
    "L": (Image.fromarray(GREY), three(GREY)),
    "LA": (clear().convert("LA"), three(GREY)),
    "P": (PALETTE, PALETTE_BGR),
    "PA": (PALETTE.convert("PA"), PALETTE_BGR),
    "1": (Image.fromarray(GREY > 99), three(np.where(GREY > 99, 255, 0))),
    "I;16": (Image.fromarray(GREY.astype(np.uint16) * 257), three(GREY)),
    "I;16B": (Image.frombytes("I;16B", (64, 48), (GREY * 256.0).astype(">u2").tobytes()),
              three(GREY)),
    "I": (Image.fromarray(GREY.astype(np.int32) * 257), three(GREY)),
    "F": (Image.fromarray((GREY / 255).astype(np.float32)), three(GREY)),
    "CMYK": (Image.fromarray(RGB).convert("CMYK"), BGR),
    "YCbCr": (Image.fromarray(RGB).convert("YCbCr"), BGR),
    "HSV": (Image.fromarray(three(GREY)).convert("HSV"), three(GREY)),
    "RGBa": (BRIGHT.convert("RGBA").convert("RGBa"), np.asarray(BRIGHT)),
    "La": (BRIGHT.convert("LA").convert("La"), np.asarray(BRIGHT)),
}  # fmt: skip


@pytest.mark.parametrize("mode", IMAGES)
def test_pil_images_of_every_mode_give_their_own_pixels(mode):
    image, expected = IMAGES[mode]
    assert image.mode == mode
    assert distance(to_pixels(image, "x"), expected) <= (3 if mode == "YCbCr" else 0)


def test_transparent_palettes_keep_their_colors(recwarn):
    image = PALETTE.copy()
    image.info["transparency"] = bytes(range(64))
    assert np.array_equal(to_pixels(image, "x"), PALETTE_BGR)
    assert not recwarn


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("tag_type", ["SHORT", "LONG"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_agrees_with_pillow(kind, tag_type, endian):
    for orientation in range(1, 9):
        data = oriented(kind, orientation, tag_type, endian)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))[..., ::-1]
        assert expected.shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))
        assert distance(to_pixels(data, "x"), expected) <= 4
        assert distance(to_pixels(Image.open(io.BytesIO(data)), "x"), expected) == 0


def test_an_upright_pil_image_is_not_rotated_again():
    data = oriented("JPEG", 6, "SHORT", "<")
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(to_pixels(turned, "x"), np.asarray(turned)[..., ::-1])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "x: NoneType is not an image; give a path"),
        ([[1, 2]], "list is not an image"),
        (io.StringIO("text"), "StringIO is not an image"),
        (np.zeros((3, 5, 5), np.uint8), r"shape \(3, 5, 5\).*\(H, W, 3\) of RGB"),
        (np.zeros((5, 5, 2), np.uint8), r"shape \(5, 5, 2\)"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \(0, 5, 3\)"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
        (torch.zeros(2, 4, 4), r"shape \(2, 4, 4\).*\(3, H, W\)"),
        (torch.zeros(5, 5, 3), r"shape \(5, 5, 3\)"),
        (torch.full((3, 4, 4), -1.2), "float32 from -1.2.*before normalization"),
        (torch.full((3, 4, 4), float("nan")), "nan"),
        (np.full((4, 4, 3), 200.0), r"float64 from 200\.0 to 200\.0"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((4, 4, 3), np.int16), "int16"),
        (np.zeros((4, 4, 3), complex), "complex128"),
        (np.full((4, 4, 3), "a"), "<U1"),
        (torch.zeros(3, 4, 4, device="meta"), "'meta' has no pixels"),
        (torch.zeros(3, 4, 4).to_sparse(), "sparse"),
        (Image.new("LAB", (4, 4)), "mode LAB are not supported; convert"),
        (Image.new("I", (4, 4), 200), r"mode I with values from 200 to 200.*I;16"),
        (Image.new("I", (4, 4), 70000), "to 70000"),
        (Image.new("F", (4, 4), 70.0), "float32 from 70"),
    ],
)  # fmt: skip
def test_other_values_are_refused_in_one_line(image, message):
    with pytest.raises(ValueError, match=f"^x: .*{message.removeprefix('x: ')}") as error:
        to_pixels(image, "x")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", corrupt_files())
def test_corrupt_files_are_refused_in_every_form(tmp_path, name):
    data, kind = corrupt_files()[name]
    (tmp_path / name).write_bytes(data)
    for image in (tmp_path / name, data, io.BytesIO(data)):
        with pytest.raises(CorruptImageError, match=f"corrupt image '.*': {kind}"):
            to_pixels(image, "images[2]")


@pytest.mark.parametrize("name", ["half.jpg", "half.png", "half.bmp"])
def test_a_pil_image_with_corrupt_data_is_refused(name):
    image = Image.open(io.BytesIO(corrupt_files()[name][0]))
    with pytest.raises(CorruptImageError, match=r"corrupt image 'images\[2\]': (trunc|corr)"):
        to_pixels(image, "images[2]")


def test_a_closed_pil_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(GOOD["rgb.png"])
    image = Image.open(tmp_path / "a.png")
    image.close()
    with pytest.raises(ValueError, match="x: the PIL image cannot be read"):
        to_pixels(image, "x")


def test_paths_that_do_not_exist_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.jpg"):
        with pytest.raises(FileNotFoundError, match=f"there is no image '{path}'"):
            to_pixels(path, "x")


@pytest.mark.parametrize(
    ("images", "count"),
    [
        (GREY, 1), (RGB, 1), (np.stack([RGB] * 3), 3), (torch.zeros(3, 8, 8), 1),
        (torch.zeros(2, 1, 8, 8), 2), (torch.zeros(8, 8), 1), (Image.fromarray(RGB), 1),
        (GOOD["rgb.png"], 1), ([GOOD["rgb.png"], RGB], 2), (iter([RGB, GREY]), 2),
    ],
)  # fmt: skip
def test_one_image_is_distinguished_from_several(images, count):
    assert len(list(each_image(images))) == count


def test_urls_are_read(monkeypatch):
    data = good_files()["rgb.png"]
    url, wrong = fake_web(monkeypatch, {"a.png": data, "b.png": b"x"})
    assert np.array_equal(to_pixels(url, "x"), decode_image(data))
    with pytest.raises(CorruptImageError, match=r"'https://host/b\.png': not an image"):
        to_pixels(wrong, "x")


def test_an_empty_list_and_a_wrong_element_are_refused():
    with pytest.raises(ValueError, match="images: the sequence is empty"):
        list(each_image([]))
    with pytest.raises(ValueError, match=r"^images\[1\]: int is not an image"):
        list(each_image([RGB, 3]))
    with pytest.raises(ValueError, match=r"^images\[0\]: NoneType"):
        list(each_image(None))


def test_sixteen_bit_files_and_their_pil_images_agree():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for suffix in (".png", ".tiff", ".pgm"):
        data = cv2.imencode(suffix, values)[1].tobytes()
        expected = three(values >> 8)
        assert np.array_equal(to_pixels(data, "x"), expected)
        assert np.array_equal(to_pixels(Image.open(io.BytesIO(data)), "x"), expected)


@pytest.mark.skipif(not READS_GIF, reason="this OpenCV reads no GIF")
def test_an_animation_gives_the_selected_frame():
    data = encode(Image.fromarray(RGB), "GIF", save_all=True,
                  append_images=[Image.new("RGB", (64, 48), (255, 0, 0))])  # fmt: skip
    image = Image.open(io.BytesIO(data))
    image.seek(1)
    assert np.array_equal(to_pixels(image, "x")[0, 0], [0, 0, 255])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_an_oriented_tiff_is_the_same_by_path_and_pillow(tmp_path, mode, orientation, compression):
    rows, columns = np.mgrid[:24, :40]
    gray = (rows * 3 + columns * 4).astype(np.uint8)
    rgba = Image.fromarray(np.dstack([gray, 255 - gray, gray // 2, 100 + gray // 2]))
    wide = Image.fromarray(gray.astype(np.uint16) * 257)
    image = (
        rgba if mode == "RGBA" else wide if mode == "I;16" else rgba.convert("RGB").convert(mode)
    )
    exif, path = Image.Exif(), tmp_path / "0.tif"
    exif[0x0112] = orientation
    image.save(path, exif=exif, **(dict(compression=compression) if compression else {}))
    expected = to_pixels(str(path), "x").astype(int)
    for opened in (Image.open(path), Image.open(io.BytesIO(path.read_bytes()))):
        found = to_pixels(opened, "x")
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 2
