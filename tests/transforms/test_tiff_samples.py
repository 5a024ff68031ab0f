"""TIFF files whose bands the usual path for colors would leave out."""

import io

import numpy as np
import pytest
from band_images import scene, tiff
from image_files import encode, picture
from PIL import Image

from mim_plugins.apis.pixels import to_pixels
from mim_plugins.errors import CorruptImageError
from mim_plugins.transforms import Bands, decode_image
from mim_plugins.transforms.tiff_samples import describe_left_out, read_tags

pytest.importorskip("tifffile")
RGB = dict(photometric="rgb")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("bands", "options"),
    [
        (2, {}),
        (4, {}),
        (4, dict(RGB, extrasamples=["unspecified"])),
        (5, dict(RGB, extrasamples=["unassalpha", "unspecified"])),
        (4, dict(RGB, extrasamples=["unspecified"], bigtiff=True)),
        (4, dict(RGB, extrasamples=["unspecified"], byteorder=">")),
    ],
)
def test_bands_are_refused_instead_of_left_out(bands, options, dtype):
    content = tiff(scene(bands, dtype=dtype), **options)
    with pytest.raises(CorruptImageError, match=rf"of {bands} bands, of .* channels={bands}, tha"):
        decode_image(content, "x.tif")
    assert Bands(bands).decode(content).shape[2] == bands


@pytest.mark.parametrize("options", [{}, dict(bigtiff=True), dict(byteorder=">")])
def test_colors_with_or_without_alpha_are_read(options):
    colors = picture()
    alpha = np.full((*colors.shape[:2], 1), 255, np.uint8)
    for pixels, extra in (
        (colors, {}),
        (np.concatenate([colors, alpha], axis=2), dict(extrasamples=["unassalpha"])),
    ):
        found = decode_image(tiff(pixels, **RGB, **extra, **options))
        assert np.array_equal(found[..., ::-1], colors)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_modes_of_pillow_have_no_other_bands(mode):
    image = Image.fromarray(picture())
    if mode == "LA":
        image = image.convert("L")
    assert describe_left_out(read_tags(encode(image.convert(mode), "TIFF"))) is None


def test_pil_images_are_refused_like_their_files():
    content = tiff(scene(4, dtype=np.uint8), **RGB, extrasamples=["unspecified"])
    with pytest.raises(ValueError, match="x: a TIFF file of 4 bands, of which only 3"):
        to_pixels(Image.open(io.BytesIO(content)), "x")


def test_other_and_corrupt_files_have_no_tags():
    content = tiff(scene(4))
    for data in (b"", b"II*\0", content[:9], content[:-3], encode(Image.new("L", (2, 2)), "PNG")):
        assert read_tags(data).get(277) in (None, 4)
