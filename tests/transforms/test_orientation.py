import io

import numpy as np
import pytest
from image_files import corrupt_files, encode, exif, good_files, oriented, picture
from PIL import Image, PngImagePlugin

from mim_plugins.transforms import decode_image
from mim_plugins.transforms.orientation import image_orientation, read_orientation, turn_upright

PICTURE = Image.fromarray(picture())
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
# of the pixels at the top left, top right, bottom left, bottom right, by orientation
CORNERS = ("abcd", "badc", "dcba", "cdab", "acbd", "cadb", "dbca", "bdac")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_the_standard_says(orientation):
    gray = np.frombuffer(b"abcd", np.uint8).reshape(2, 2).repeat(2, 0).repeat(3, 1)
    upright = turn_upright(np.stack([gray] * 3, axis=-1), orientation)
    assert upright.shape == ((4, 6, 3) if orientation < 5 else (6, 4, 3))
    corners = [chr(upright[y, x, 2]) for y in (0, -1) for x in (0, -1)]
    assert "".join(corners) == CORNERS[orientation - 1]
    assert upright.flags.c_contiguous


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tag_type", ["SHORT", "LONG"])
@pytest.mark.parametrize("endian", "<>")
def test_files_and_their_images_have_the_same_orientation(kind, tag_type, endian):
    for orientation in range(1, 9):
        data = oriented(kind, orientation, tag_type, endian)
        assert read_orientation(data) == orientation
        assert image_orientation(Image.open(io.BytesIO(data))) == orientation


@pytest.mark.parametrize("name", [name for name in good_files() if "turned" not in name])
def test_files_without_orientation_are_upright(name):
    data = good_files()[name]
    is_read = data[:2] in (b"\xff\xd8", b"\x89P", b"RI")
    assert read_orientation(data) == (1 if is_read else None)


def test_png_metadata_behind_the_pixels_count():
    chunk = next(c for c in chunks(oriented("PNG", 6)) if c[4:8] == b"eXIf")
    data = encode(PICTURE, "PNG")
    late = data[:-12] + chunk + data[-12:]
    assert read_orientation(late) == 6
    assert decode_image(late).shape == (64, 48, 3)


def chunks(data):
    at = 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at:end]
        at = end


def test_metadata_of_editors_count_as_in_pillow():
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    for data in (encode(PICTURE, "JPEG", xmp=XMP), encode(PICTURE, "PNG", pnginfo=text)):
        assert read_orientation(data) == image_orientation(Image.open(io.BytesIO(data))) == 8


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_numbers_that_are_no_orientation_are_ignored(orientation):
    assert read_orientation(oriented("JPEG", orientation)) == 1


def test_broken_metadata_leave_the_image_as_it_is(recwarn):
    whole = exif(6)
    for end in range(6, len(whole) - 6):
        data = encode(PICTURE, "JPEG", exif=whole[:end])
        assert read_orientation(data) == 1
        assert decode_image(data).shape == (48, 64, 3)
    assert not recwarn


@pytest.mark.parametrize("name", corrupt_files())
def test_corrupt_files_are_left_to_the_decoder(name):
    assert read_orientation(corrupt_files()[name][0]) in (1, None)
