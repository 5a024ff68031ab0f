from types import SimpleNamespace

import pytest
import torch
from mmengine.model import ImgDataPreprocessor

from mim_plugins.apis import list_models, read_config
from mim_plugins.checks.pixel_range_check import (
    check_pixel_range,
    check_teacher_colors,
    check_teacher_range,
)
from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.datasets.pipelines import image_order
from mim_plugins.errors import ConfigError

FIELD = "train_dataloader"


def preprocessor(mean=123.0, std=58.0):
    return SimpleNamespace(mean=torch.full((3, 1, 1), mean), std=torch.full((3, 1, 1), std))


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_of_zero_is_refused(std):
    with pytest.raises(ConfigError, match=r"data_preprocessor\.std=.* must be above 0"):
        check_pixel_range(preprocessor(std=std), FIELD, [])


@pytest.mark.parametrize(
    "image",
    [torch.tensor([[[-2.0, 2.0]]]), torch.rand(3, 2, 2), torch.tensor([[[0.0, 1.0]]])],
)
def test_images_that_are_normalized_twice_are_a_warning(image):
    pixels = torch.randint(255, (3, 2, 2), dtype=torch.uint8)
    assert "before data_preprocessor normalizes" in check_pixel_range(
        preprocessor(), FIELD, [pixels, image]
    )


def test_images_that_are_almost_black_are_a_warning():
    dark = torch.full((3, 2, 2), 15, dtype=torch.uint8)
    with_black = [torch.zeros_like(dark), dark]
    warning = check_pixel_range(preprocessor(), FIELD, with_black)
    assert "values up to 15 of 255, so they are almost black" in warning
    assert check_pixel_range(preprocessor(), FIELD, [*with_black, dark + 30]) is None


@pytest.mark.parametrize(
    "image",
    [
        torch.randint(256, (3, 8, 8), dtype=torch.uint8),
        torch.randint(256, (3, 8, 8)).float(),
        torch.randint(4096, (3, 8, 8), dtype=torch.int32),
    ],
)
@pytest.mark.parametrize("std", [0.2, 0.5])
def test_statistics_from_0_to_1_of_other_images_are_a_warning(image, std):
    warning = check_pixel_range(preprocessor(0.5, std), FIELD, [torch.zeros_like(image), image])
    assert "on average, far above data_preprocessor.mean=[0.5, 0.5, 0.5]; give mean" in warning


@pytest.mark.parametrize(
    "images",
    [
        [torch.tensor([[[0.0, 255.0]]])],
        [torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.0, 2.0]]])],  # a dark image
        [torch.tensor([[[0, 255]]], dtype=torch.int32)],
        [torch.ones(3, 2, 2, dtype=torch.uint8)],
        [torch.zeros(3, 2, 2)],
        [torch.zeros(3, 0, 2)],
        [],
    ],
)
def test_teachers_get_eight_bit_values(images):
    check_teacher_range(FIELD, images)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (torch.tensor([[[0.0, 12000.0]]]), "0 to 12000"),
        (torch.tensor([[[0, 65535]]], dtype=torch.uint16), "0 to 65535"),
        (torch.tensor([[[-7, 300]]], dtype=torch.int32), "-7 to 300"),
        (torch.tensor([[[-90.0, 200.0]]]), "-90 to 200"),
        (torch.tensor([[[0.0, 1.0]]]), "0 to 1"),
        (torch.tensor([[[0.0, 0.25]]], dtype=torch.float16), "0 to 0.25"),
        (torch.tensor([[[False, True]]]), "0 to 1"),
        (torch.tensor([[[float("nan"), 1.0]]]), "nan to nan"),
    ],
)
def test_other_values_for_teachers_are_refused(image, text):
    eight_bits = torch.ones(3, 2, 2, dtype=torch.uint8)
    with pytest.raises(ConfigError, match=rf"values from {text}, but teachers read RGB from 0 to"):
        check_teacher_range(FIELD, [eight_bits, image])


def test_overshoot_of_bicubic_interpolation_passes_to_teachers():
    check_teacher_range(FIELD, [torch.tensor([[[-7.5, 265.2]]])])


@pytest.mark.parametrize(
    ("found", "image"),
    [
        (preprocessor(), torch.randint(255, (3, 2, 2), dtype=torch.uint8)),
        (preprocessor(), torch.zeros(3, 2, 2, dtype=torch.uint8)),
        (preprocessor(), torch.tensor([[[0.0, 255.0]]])),
        (preprocessor(0.5, 0.2), torch.rand(3, 2, 2)),
        (preprocessor(0.5, 0.2), torch.tensor([[[-0.1, 0.9]]])),
        (preprocessor(0.1, 0.2), torch.tensor([[[0.0] * 99 + [100.0]]])),  # an outlier
        (preprocessor(123.0, 1.0), torch.full((3, 2, 2), 90, dtype=torch.uint8)),
        (preprocessor(123.0, 1.0), torch.tensor([[[-20.0, 180.0]]])),  # PhotoMetricDistortion
        (preprocessor(123.0, 1.0), torch.tensor([[[-0.5, 90.0]]])),
        (preprocessor(15.0, 8.0), torch.tensor([[[-30.0, 12.0]]])),  # temperatures
        (preprocessor(0.0, 1.0), torch.full((3, 2, 2), 90, dtype=torch.uint8)),
        (preprocessor(-600.0, 500.0), torch.tensor([[[-1024.0, 3000.0]]])),
        (preprocessor(-12.0, 4.0), torch.tensor([[[-30.0, -1.0]]])),
        (preprocessor(4000.0, 1000.0), torch.zeros(3, 2, 2)),
        (SimpleNamespace(mean=None, std=None), torch.tensor([[[-2.0]]])),
        (None, torch.tensor([[[-2.0]]])),
    ],
)
def test_pixels_that_the_preprocessor_expects_pass(found, image):
    assert check_pixel_range(found, FIELD, [image]) is None


@pytest.mark.parametrize("kind", [ImgDataPreprocessor, MixDataPreprocessor])
@pytest.mark.parametrize(
    "loader", ["mim_plugins.LoadImage", "mim_plugins.LoadRandomResizedCrop", "LoadImageFromFile"]
)
def test_teachers_get_rgb(kind, loader):
    files = dict(pipeline=[dict(type=loader)])
    memory = dict(type="CIFAR10", pipeline=[dict(type="PackInputs")])
    with pytest.raises(ConfigError, match=r"BGR .*; set data_preprocessor\.bgr_to_rgb=True"):
        check_teacher_colors(kind(), FIELD, files)
    with pytest.raises(ConfigError, match=r"are RGB .*; set data_preprocessor\.bgr_to_rgb=False"):
        check_teacher_colors(kind(bgr_to_rgb=True), FIELD, memory)
    check_teacher_colors(kind(bgr_to_rgb=True), FIELD, files)
    check_teacher_colors(kind(), FIELD, memory)
    for reverses in (True, False):  # unknown
        check_teacher_colors(kind(bgr_to_rgb=reverses), FIELD, dict(type="Own"))
        for steps in ([], [dict(type="OpenTiff")]):
            own = dict(type="Own", pipeline=steps)
            check_teacher_colors(kind(bgr_to_rgb=reverses), FIELD, own)


def test_all_recipes_with_teachers_give_them_rgb():
    recipes = [read_config(name) for name in list_models("mrmae/*")]
    with_teachers = [cfg for cfg in recipes if cfg.model.get("mimics")]
    assert len(with_teachers) >= 5
    for cfg in with_teachers:
        assert image_order(cfg.train_dataloader) == "bgr"
        assert cfg.model.data_preprocessor.bgr_to_rgb
