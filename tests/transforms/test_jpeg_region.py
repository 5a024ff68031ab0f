import io

import numpy as np
import pytest
from image_files import encode, good_files, oriented, textured
from mmcv import imfrombytes
from PIL import Image

from mim_plugins.transforms import jpeg_region
from mim_plugins.transforms.jpeg_region import Box, decode_region, read_header

GOOD = good_files()
needs_decoder = pytest.mark.skipif(not jpeg_region.AVAILABLE, reason="simplejpeg is missing")


def smooth(height=150, width=201):
    """Return a smooth picture, large enough for several rows of JPEG blocks."""
    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def kinds():
    """Return the JPEG files that the header reader accepts."""
    for subsampling in (0, 1, 2):
        yield encode(smooth(), "JPEG", quality=90, subsampling=subsampling)
    yield encode(smooth(), "JPEG", progressive=True)
    yield encode(smooth(), "JPEG", restart_marker_rows=1)
    yield encode(smooth().convert("L"), "JPEG")


@pytest.mark.parametrize("data", kinds())
def test_the_header_has_the_size(data):
    header = read_header(data)

    assert (header.height, header.width) == (150, 201)
    assert data[header.height_at : header.height_at + 2] == (150).to_bytes(2, "big")


def test_only_one_scan_without_restarts_can_end_early():
    accepted = [read_header(data).can_end_early for data in kinds()]

    assert accepted == [True, True, True, False, False, True]


@pytest.mark.parametrize(
    "name", [name for name in GOOD if not name.endswith(".jpg")] + ["cmyk.jpg", "png named.jpg"]
)
def test_other_files_are_left_to_others(name):
    assert read_header(GOOD[name]) is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag_type", ["SHORT", "LONG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_images_are_left_to_others(orientation, tag_type, order):
    header = read_header(oriented("JPEG", orientation, tag_type, order))

    assert (header is None) == (orientation != 1)


def test_turned_images_of_editors_are_left_to_others():
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    assert read_header(encode(smooth(), "JPEG", xmp=xmp)) is None
    assert read_header(encode(smooth(), "JPEG", xmp=xmp.replace(b"6", b"1"))) is not None


def test_broken_headers_are_left_to_others():
    data = encode(smooth(), "JPEG")
    start_of_scan = data.index(b"\xff\xda")
    frame = data.index(b"\xff\xc0")

    assert all(read_header(data[:end]) is None for end in range(start_of_scan))
    assert read_header(data[:frame] + b"\xff\xff" + data[frame + 2 :]) is None
    assert read_header(data[: frame + 5] + b"\0\0" + data[frame + 7 :]) is None
    assert read_header(data[: frame + 4] + b"\x0c" + data[frame + 5 :]) is None


def test_sizes_that_the_decoder_refuses_are_left_to_it():
    data = encode(smooth(), "JPEG")
    at = read_header(data).height_at
    assert read_header(data[:at] + b"\xff\xf0\xff\xf0" + data[at + 4 :]) is None


@needs_decoder
@pytest.mark.parametrize("check_full_file", [False, True])
@pytest.mark.parametrize("data", kinds())
def test_pixels_are_those_of_the_whole_image(data, check_full_file):
    whole = imfrombytes(data)
    header = read_header(data)
    for box in (Box(0, 0, 150, 201), Box(3, 5, 40, 50), Box(60, 100, 33, 101), Box(149, 0, 1, 1)):
        top, left, height, width = box

        region = decode_region(data, header, box, (150, 201), check_full_file)

        assert np.array_equal(region, whole[top : top + height, left : left + width])


@needs_decoder
@pytest.mark.parametrize("data", kinds())
@pytest.mark.parametrize(("side", "scale"), [(66, 1), (65, 2), (33, 2), (32, 4), (16, 4)])
def test_large_crops_are_decoded_at_a_smaller_sufficient_size(data, side, scale):
    box = Box(9, 20, 131, 140)
    expected = Image.fromarray(imfrombytes(data)[8:144, 16:160])
    size = (expected.width // scale, expected.height // scale)
    expected = np.asarray(expected.resize(size, Image.Resampling.BOX))

    region = decode_region(data, read_header(data), box, (side, side))

    height, width = region.shape[:2]
    assert min(height, width) >= side
    assert (height, width) == (-(-140 // scale) - 9 // scale, -(-160 // scale) - 20 // scale)
    top, left = 9 // scale - 8 // scale, 20 // scale - 16 // scale
    expected = expected[top : top + height, left : left + width]
    assert np.abs(region[: len(expected)].astype(int) - expected).mean() < 3


@needs_decoder
def test_the_rows_below_the_crop_are_not_decoded():
    data = encode(textured(), "JPEG", quality=95)
    broken = bytearray(data)
    broken[-4000:-2] = bytes(3998)
    header, box = read_header(data), Box(0, 0, 16, 96)

    region = decode_region(bytes(broken), header, box, (96, 96))

    assert np.array_equal(region, imfrombytes(data)[:16])
    assert decode_region(bytes(broken), header, box, (96, 96), check_full_file=True) is None


@needs_decoder
@pytest.mark.parametrize("check_full_file", [False, True])
def test_a_truncated_file_is_noticed_wherever_the_crop_is(check_full_file):
    data = encode(textured(), "JPEG", quality=95)
    header = read_header(data)
    for end in (len(data) // 3, len(data) - 40, len(data) - 2):
        assert (
            decode_region(data[:end], header, Box(0, 0, 16, 96), (96, 96), check_full_file) is None
        )


@needs_decoder
def test_a_larger_image_after_a_smaller_one_and_the_reverse():
    for side in (64, 256, 32, 2400):
        image = Image.fromarray(np.full((side, side, 3), side % 251, np.uint8))
        data = encode(image, "JPEG")

        region = decode_region(data, read_header(data), Box(0, 0, side, side), (side, side))

        assert region.shape == (side, side, 3)
        assert np.abs(region.astype(int) - side % 251).max() <= 1


def test_pillow_agrees_on_what_is_accepted():
    for name in ("rgb.jpg", "gray.jpg", "progressive.jpg"):
        header = read_header(GOOD[name])
        assert (header.width, header.height) == Image.open(io.BytesIO(GOOD[name])).size
