import pytest
import torch
from mmengine.model import ImgDataPreprocessor

from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.visualization import apply_colormap, to_rgb_uint8


@pytest.mark.parametrize(
    "arguments", [{}, dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])]
)
def test_natural_colors_undo_the_preprocessor(arguments):
    preprocessor = ImgDataPreprocessor(**arguments, bgr_to_rgb=True)
    bgr = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    images = preprocessor(dict(inputs=list(bgr)))["inputs"]
    assert torch.equal(to_rgb_uint8(images, preprocessor), bgr.flip(1))


def test_natural_colors_are_clipped():
    colors = to_rgb_uint8(torch.tensor([-5.0, 300.0]).reshape(1, 1, 1, 2), None)
    assert colors.flatten().tolist() == [0, 255] * 3


def test_images_of_one_channel_are_gray():
    preprocessor = ImgDataPreprocessor(mean=[100.0], std=[50.0])
    gray = torch.randint(256, (2, 1, 4, 4), dtype=torch.uint8)
    images = preprocessor(dict(inputs=list(gray)))["inputs"]
    assert torch.equal(to_rgb_uint8(images, preprocessor), gray.expand(2, 3, 4, 4))


@pytest.mark.parametrize(
    ("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 10, 20]), (5, [0, 10, 20])]
)
def test_images_of_any_channels_become_rgb(channels, shown):
    images = 10.0 * torch.arange(channels).reshape(1, channels, 1, 1)
    assert to_rgb_uint8(images, None).flatten().tolist() == shown


def test_shown_bands_are_stretched_around_their_mean():
    mean, std = [100.0, 2000.0, 0.5, 7.0], [10.0, 500.0, 0.1, 1.0]
    preprocessor = MixDataPreprocessor(mean=mean, std=std, shown_bands=(3, 1, 2))
    steps = torch.tensor([-9.0, -2.5, 0.0, 2.5, 9.0])  # standard deviations
    images = torch.tensor(mean)[:, None, None] + torch.tensor(std)[:, None, None] * steps
    normalized = preprocessor(dict(inputs=[images]))["inputs"]
    shown = to_rgb_uint8(normalized, preprocessor)
    assert shown.tolist() == [[[[0, 0, 128, 255, 255]]] * 3]
    normalized[:, 3] += 2.5
    assert to_rgb_uint8(normalized, preprocessor)[0, :, 0, 2].tolist() == [255, 128, 128]


def test_one_shown_band_is_gray():
    preprocessor = MixDataPreprocessor(mean=[0.0] * 4, std=[1.0] * 4, shown_bands=[2])
    images = torch.tensor([9.0, 9.0, -1.0, 9.0]).reshape(1, 4, 1, 1)
    assert to_rgb_uint8(images, preprocessor).flatten().tolist() == [76] * 3


def test_colors_go_from_dark_to_bright_and_nan_is_gray():
    values = torch.tensor([[[-1.0, 0.0], [1.0, float("nan")]]])

    colors = apply_colormap(values, 0, 1, (4, 6))

    assert colors.dtype == torch.uint8
    assert colors.shape == (1, 3, 4, 6)
    below, low, high, missing = (colors[0, :, y, x] for y, x in ((0, 0), (0, 5), (3, 0), (3, 5)))
    assert torch.equal(below, low)
    assert low.sum() < high.sum()
    assert missing.tolist() == [127] * 3
    assert torch.equal(colors[0, :, 0, 0], colors[0, :, 1, 2])  # one color per cell


def test_bgr_is_reversed_and_other_channels_are_not():
    for channels, expected in ((1, [0] * 3), (3, [20, 10, 0]), (4, [0, 10, 20])):
        images = 10.0 * torch.arange(channels).reshape(1, channels, 1, 1)
        assert to_rgb_uint8(images, None, is_bgr=True).flatten().tolist() == expected
