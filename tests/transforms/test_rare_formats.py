"""Files of rare kinds: AVIF, JPEG files with several pictures, TIFF files of floats."""

import io

import cv2
import numpy as np
import pytest
from image_files import exif, picture
from PIL import Image, features

from mim_plugins.errors import CorruptImageError
from mim_plugins.transforms import decode_image
from mim_plugins.transforms.orientation import image_orientation, turn_upright

PICTURE = Image.fromarray(picture())


def upright(image):
    """Return the pixels of a PIL image as they are shown, in BGR."""
    pixels = np.asarray(image.convert("RGB"))[..., ::-1]
    return turn_upright(np.ascontiguousarray(pixels), image_orientation(image)).astype(int)


def saved(**settings):
    file = io.BytesIO()
    PICTURE.save(file, **settings)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["AVIF", "MPO"])
def test_pixels_equal_those_of_pillow_with_any_orientation(kind, orientation):
    if kind == "AVIF" and not (features.check("avif") and cv2.haveImageWriter("a.avif")):
        pytest.skip("Pillow or OpenCV was built without AVIF")
    more = dict(save_all=True, append_images=[PICTURE]) if kind == "MPO" else dict(quality=95)
    data = saved(format=kind, exif=exif(orientation), **more)

    with Image.open(io.BytesIO(data)) as image:
        difference = np.abs(decode_image(data).astype(int) - upright(image))

    assert difference.mean() < 3


def test_an_overwritten_file_of_several_pictures_is_corrupt():
    data = saved(format="MPO", save_all=True, append_images=[PICTURE])
    first = data.index(b"\xff\xda")
    broken = data[: first + 40] + b"\xff\xd3" * 8 + data[first + 60 :]
    with pytest.raises(CorruptImageError):
        decode_image(broken, "x.jpg")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiff_file_of_floats_is_named_as_such(channels):
    pixels = np.random.default_rng(0).random((8, 8, channels), dtype=np.float32)
    data = cv2.imencode(".tif", pixels.squeeze())[1].tobytes()
    with pytest.raises(CorruptImageError, match=r"float|mode F") as error:
        decode_image(data, "x.tif")
    assert error.value.kind == "unsupported"
