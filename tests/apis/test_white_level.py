"""Images in 16 bits with the values of 8 bits, which would become black."""

import numpy as np
import pytest
import torch
from PIL import Image

from mim_plugins.apis.pixels import to_pixels

EIGHT = np.arange(256, dtype=np.uint8).reshape(16, 16)
WIDE = EIGHT.astype(np.uint16)


@pytest.mark.parametrize(
    "image",
    [
        WIDE,
        WIDE // 255,
        WIDE.astype(">u2"),
        np.dstack([WIDE] * 3),
        torch.from_numpy(np.stack([WIDE] * 3)),
        Image.fromarray(WIDE),
        Image.fromarray(EIGHT.astype(np.int32), "I"),
        Image.fromarray(EIGHT.astype(np.int32), "I").convert("I;16"),
        Image.frombytes("I;16B", (16, 16), WIDE.astype(">u2").tobytes()),
    ],
)
def test_an_image_whose_white_level_is_unknown_is_refused(image):
    with pytest.raises(ValueError, match=r"white level is unknown; give 8 bits"):
        to_pixels(image, "images[0]")


@pytest.mark.parametrize("image", [WIDE * 257, Image.fromarray(WIDE * 257), WIDE + 1])
def test_values_of_sixteen_bits_are_scaled(image):
    expected = np.asarray(image, dtype=np.uint16) >> 8
    assert np.array_equal(to_pixels(image, "x")[..., 0], expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_dark_files_are_read_alike_by_path_and_by_pillow(tmp_path, suffix):
    file = tmp_path / f"dark{suffix}"
    Image.fromarray(WIDE).save(file)
    with Image.open(file) as image:
        assert np.array_equal(to_pixels(image, "x"), to_pixels(file, "x"))


def test_a_black_image_is_black():
    assert not to_pixels(WIDE * 0, "x").any()
