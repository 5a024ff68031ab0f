import itertools

import pytest
import torch
from torch import nn

from mim_plugins.layers import PatchEmbed, PatchMerging, patch_statistics, patchify, unpatchify
from mim_plugins.masking import mix


def test_is_a_linear_map_of_each_patch_then_a_norm():
    embed = PatchEmbed(3, 8, 4)
    images = torch.randn(2, 3, 8, 12)
    tokens = embed(images)
    # weights of convolutions are channels-first, patches are channels-last
    weight = embed.proj.weight.permute(0, 2, 3, 1).reshape(8, -1)
    linear = patchify(images, 4) @ weight.T + embed.proj.bias
    assert torch.allclose(tokens, embed.norm(linear).reshape(2, 2, 3, 8), atol=1e-5)


def test_embedding_of_mixed_images_is_the_mixture_of_embeddings():
    embed = PatchEmbed(3, 8, 4)
    images = torch.randn(2, 3, 16, 16)
    mask = torch.rand(1, 4, 4) < 0.5
    partner = torch.tensor([1, 0])
    of_mixed = embed(mix(images, mask, partner))
    tokens = embed(images)
    assert torch.equal(of_mixed, torch.where(mask[..., None], tokens[partner], tokens))


@pytest.mark.parametrize(("size", "grid"), [((9, 12), (3, 3)), ((1, 7), (1, 2)), ((8, 8), (2, 2))])
def test_other_sizes_are_padded_with_zeros_at_bottom_and_right(size, grid):
    embed = PatchEmbed(3, 8, 4)
    images = torch.randn(1, 3, *size)
    padded = torch.zeros(1, 3, 4 * grid[0], 4 * grid[1])
    padded[:, :, : size[0], : size[1]] = images
    tokens = embed(images)
    assert tokens.shape == (1, *grid, 8)
    assert torch.equal(tokens, embed(padded))


@pytest.mark.parametrize(
    ("module", "shape"), [(PatchEmbed(3, 8, 4), (2, 3, 8, 12)), (PatchMerging(8, 16), (2, 4, 6, 8))]
)
def test_full_patches_are_not_copied_for_padding(module, shape):
    with torch.profiler.profile() as profiler:
        module(torch.randn(shape))
    assert not [event for event in profiler.events() if "pad" in event.name]


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


def test_deviation_of_a_patch_of_one_color_is_that_of_epsilon():
    _, std = patch_statistics(torch.full((1, 1, 12), 7.0))
    assert std.item() == pytest.approx(1e-3)


@pytest.fixture
def concatenation():
    """Merge patches without norm and projection."""
    merging = PatchMerging(4, 8)
    merging.norm, merging.reduction = nn.Identity(), nn.Identity()
    return merging


def test_order_is_top_left_bottom_left_top_right_bottom_right(concatenation):
    x = torch.randn(2, 6, 4, 4)
    merged = concatenation(x)
    top, bottom = x[:, 0::2], x[:, 1::2]
    parts = [top[:, :, 0::2], bottom[:, :, 0::2], top[:, :, 1::2], bottom[:, :, 1::2]]
    assert torch.equal(merged, torch.cat(parts, dim=-1))


@pytest.mark.parametrize(("height", "width"), [(5, 4), (4, 5), (5, 7), (1, 1)])
def test_odd_sides_are_padded_with_zeros(concatenation, height, width):
    x = torch.randn(2, height, width, 4)
    padded = torch.zeros(2, height + height % 2, width + width % 2, 4)
    padded[:, :height, :width] = x
    merged = concatenation(x)
    assert merged.shape == (2, (height + 1) // 2, (width + 1) // 2, 16)
    assert torch.equal(merged, concatenation(padded))


def test_norm_comes_before_a_projection_without_bias():
    merging = PatchMerging(4, 8)
    x = torch.randn(1, 2, 2, 4)
    four = torch.cat([x[0, 0, 0], x[0, 1, 0], x[0, 0, 1], x[0, 1, 1]])
    merged = merging(x)
    normalized = (four - four.mean()) / (four.var(unbiased=False) + 1e-5).sqrt()
    assert torch.allclose(merged[0, 0, 0], merging.reduction.weight @ normalized, atol=1e-5)
    assert merging.reduction.bias is None
