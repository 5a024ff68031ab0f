import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope

from mim_plugins.transforms.center_crop import center_crop


def crop(path, *arguments, **options):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        pipeline = Compose(center_crop(*arguments, **options))
    return pipeline(dict(img_path=str(path)))["inputs"]


@pytest.fixture
def ramp(tmp_path):
    """Gray image of 64x96 pixels that get brighter from left to right."""
    pixels = np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))
    cv2.imwrite(str(tmp_path / "ramp.png"), pixels)
    return tmp_path / "ramp.png"


@pytest.mark.parametrize(
    ("img_size", "shape"), [(56, (3, 56, 56)), ((28, 56), (3, 28, 56)), ([56, 28], (3, 56, 28))]
)
def test_crop_has_the_given_height_and_width(ramp, img_size, shape):
    assert tuple(crop(ramp, img_size).shape) == shape


def test_center_is_kept_without_resizing(ramp):
    cropped = crop(ramp, (32, 48), resize=64)
    assert cropped[0, 0].tolist() == list(range(48, 144, 2))


def test_short_edge_of_squares_is_a_seventh_longer():
    for side in range(16, 512):
        (resize,) = (step for step in center_crop(side) if "scale" in step)
        assert resize["scale"] == round(side * 256 / 224)


@pytest.mark.parametrize("size", [(224, 224), (224, 448), (128, 512), (64, 512), (480, 96)])
def test_crops_of_every_shape_show_the_same_share_of_an_image(size, tmp_path):
    height, width = size
    y, x = np.mgrid[:height, :width] / np.array(size)[:, None, None]
    image = np.stack([y, x, 0 * x], axis=2) * 255
    cv2.imwrite(str(tmp_path / "a.png"), image.round().astype(np.uint8))
    pixels = crop(tmp_path / "a.png", size).numpy() / 255
    seen = np.ptp(pixels[0]) * np.ptp(pixels[1])
    assert seen == pytest.approx((7 / 8) ** 2, abs=0.02)


@pytest.mark.parametrize("size", [(64, 512), (224, 96), (100, 101)])
@pytest.mark.parametrize("shape", [(1, 1), (50, 50), (64, 512), (7, 900), (900, 7), (63, 500)])
def test_images_of_every_shape_cover_the_crop(size, shape, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((*shape, 3), np.uint8))
    assert tuple(crop(tmp_path / "a.png", size).shape) == (3, *size)
    assert tuple(crop(tmp_path / "a.png", size, resize=size).shape) == (3, *size)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_channels_of_the_model(ramp, channels):
    assert len(crop(ramp, 32, channels=channels)) == channels
