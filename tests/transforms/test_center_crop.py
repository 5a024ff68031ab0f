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
    cropped = crop(ramp, (32, 48), short_edge=64)
    assert cropped[0, 0].tolist() == list(range(48, 144, 2))


def test_short_edge_is_a_seventh_longer_than_the_crop():
    (resize,) = (step for step in center_crop(224) if "scale" in step)
    assert resize["scale"] == 256


@pytest.mark.parametrize("channels", [1, 3])
def test_images_have_the_channels_of_the_model(ramp, channels):
    assert len(crop(ramp, 32, channels=channels)) == channels
