import pytest
import torch
from torch import nn

from mim_plugins.layers import PatchMerging


@pytest.fixture
def concatenation():
    """Patch merging without its norm and its projection."""
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

    normalised = (four - four.mean()) / (four.var(unbiased=False) + 1e-5).sqrt()
    assert torch.allclose(merged[0, 0, 0], merging.reduction.weight @ normalised, atol=1e-5)
    assert merging.reduction.bias is None
