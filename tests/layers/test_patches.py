import itertools

import pytest
import torch

from mim_plugins.layers import patch_statistics, patchify, unpatchify


@pytest.mark.parametrize(("size", "patch"), [((8, 8), 4), ((6, 10), 2), ((3, 9), 3), ((5, 5), 1)])
def test_unpatchify_undoes_patchify(size, patch):
    images = torch.randn(2, 3, *size)
    grid = (size[0] // patch, size[1] // patch)

    assert torch.equal(unpatchify(patchify(images, patch), patch, grid), images)


def test_patchify_undoes_unpatchify_with_any_number_of_channels():
    patches = torch.randn(2, 6, 4 * 5)  # 2x2 pixels of 5 channels

    assert torch.equal(patchify(unpatchify(patches, 2, (3, 2)), 2), patches)


def test_values_are_ordered_by_pixel_row_pixel_column_channel():
    images = torch.randn(2, 3, 4, 6)

    patches = patchify(images, 2)

    assert patches.shape == (2, 6, 12)
    for row, col in itertools.product(range(2), range(3)):
        values = [
            images[:, channel, 2 * row + r, 2 * col + c]
            for r, c, channel in itertools.product(range(2), range(2), range(3))
        ]
        assert torch.equal(patches[:, row * 3 + col], torch.stack(values, dim=1))


def test_statistics_are_the_mean_and_the_unbiased_deviation():
    patches = torch.randn(2, 3, 12, dtype=torch.float64)

    mean, std = patch_statistics(patches)

    for image, patch in itertools.product(range(2), range(3)):
        values = patches[image, patch].tolist()
        average = sum(values) / 12
        variance = sum((value - average) ** 2 for value in values) / 11
        assert mean[image, patch].item() == pytest.approx(average, abs=1e-12)
        assert std[image, patch].item() == pytest.approx((variance + 1e-6) ** 0.5, abs=1e-12)
    assert mean.shape == std.shape == (2, 3, 1)


def test_deviation_of_a_patch_of_one_colour_is_that_of_epsilon():
    _, std = patch_statistics(torch.full((1, 1, 12), 7.0))

    assert std.item() == pytest.approx(1e-3)
