import numpy as np
import pytest
from mmcv.image import imresize

from mim_plugins.transforms.resize_pillow import resize_pillow

NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 13), dtype=np.uint8)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box"])
def test_colors_equal_those_of_mmcv_and_of_single_bands(interpolation):
    image = np.ascontiguousarray(NOISE[..., :3])
    found = resize_pillow(image, (20, 33), interpolation)
    theirs = imresize(image, (33, 20), interpolation=interpolation, backend="pillow")
    assert np.array_equal(found, theirs)
    assert found.flags.writeable
    assert np.array_equal(resize_pillow(NOISE, (20, 33), interpolation)[..., :3], found)


def test_floats_are_neither_rounded_nor_clipped():
    image = NOISE.astype(np.float32) * 100 - 5000
    found = resize_pillow(image, (20, 33), "bilinear")
    rounded = resize_pillow(NOISE, (20, 33), "bilinear")
    assert found.dtype == np.float32
    assert np.abs((found + 5000) / 100 - rounded).max() < 1.5  # bytes are rounded in both passes
    assert resize_pillow(image[..., 0], (20, 33), "bilinear").shape == (20, 33)
