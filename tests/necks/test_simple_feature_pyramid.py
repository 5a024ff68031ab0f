import pytest
import torch
from mrmae_fakes import assert_trained
from tiny_models import PLAIN_BACKBONES
from torch import nn
from torchvision.models.convnext import LayerNorm2d

from mim_plugins.necks import SimpleFeaturePyramid
from mim_plugins.registry import MODELS


def tiny(**changes):
    return SimpleFeaturePyramid(**(dict(in_channels=8, out_channels=4) | changes))


def test_five_levels_of_a_map_of_stride_16():
    levels = tiny()([torch.randn(2, 8, 6, 10)])
    assert [tuple(level.shape[2:]) for level in levels] == [
        (24, 40), (12, 20), (6, 10), (3, 5), (2, 3)
    ]  # fmt: skip
    assert all(level.shape[:2] == (2, 4) for level in levels)


@pytest.mark.parametrize(
    ("scales", "num_outs", "sizes"),
    [((2, 1), 2, [8, 4]), ((1, 0.25), 3, [4, 1, 1]), ((8,), 1, [32])],
)
def test_scales_and_number_of_levels_may_differ(scales, num_outs, sizes):
    levels = tiny(scale_factors=scales, num_outs=num_outs)([torch.randn(1, 8, 4, 4)])
    assert [level.shape[-1] for level in levels] == sizes


def test_extra_levels_subsample_the_level_before():
    levels = tiny(num_outs=6)([torch.randn(1, 8, 8, 8)])
    assert torch.equal(levels[4], levels[3][:, :, ::2, ::2])
    assert torch.equal(levels[5], levels[4][:, :, ::2, ::2])


def test_parameters_are_those_of_vitdet():
    # counted from the description, without norms and biases of transposed convolutions
    neck = tiny(in_channels=768, out_channels=256)
    up4 = 768 * 384 * 4 + 384 + 2 * 384 + 384 * 192 * 4 + 192
    up2 = 768 * 384 * 4 + 384
    after = [width * 256 + 256 * 256 * 9 + 2 * 2 * 256 for width in (192, 384, 768, 768)]
    assert sum(p.numel() for p in neck.parameters()) == up4 + up2 + sum(after)


def test_the_layers_of_each_level():
    neck = tiny()
    ends = [nn.Conv2d, LayerNorm2d, nn.Conv2d, LayerNorm2d]
    assert [[type(layer) for layer in level] for level in neck.levels] == [
        [nn.ConvTranspose2d, LayerNorm2d, nn.GELU, nn.ConvTranspose2d, *ends],
        [nn.ConvTranspose2d, *ends],
        ends,
        [nn.MaxPool2d, *ends],
    ]


def test_each_place_is_normalized_over_its_channels():
    level = tiny()([100 * torch.randn(1, 8, 4, 4)])[2]
    assert torch.allclose(level.mean(dim=1), torch.zeros(1, 4, 4), atol=1e-5)
    assert torch.allclose(level.var(dim=1, unbiased=False), torch.ones(1, 4, 4), atol=1e-3)


def test_all_parameters_learn():
    neck = tiny()
    levels = neck([torch.randn(1, 8, 4, 4)])
    sum((level * torch.randn_like(level)).sum() for level in levels).backward()
    assert_trained(neck)


def test_takes_the_map_of_a_plain_transformer():
    encoder = MODELS.build(PLAIN_BACKBONES["vit"])
    neck = MODELS.build(
        dict(type="mim_plugins.SimpleFeaturePyramid", in_channels=16, out_channels=4)
    )

    sizes = [level.shape[-2:] for level in neck(encoder(torch.randn(1, 3, 40, 64)))]

    assert sizes[:3] == [(12, 16), (6, 8), (3, 4)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(scale_factors=(3,)), r"scale_factors=\(3,\) must be powers of 2"),
        (dict(scale_factors=(0, 1)), r"scale_factors=\(0, 1\)"),
        (dict(scale_factors=()), r"scale_factors=\(\)"),
        (dict(num_outs=3), "num_outs=3 must be at least 4"),
        (dict(in_channels=6), "in_channels=6 must be a multiple of 4"),
    ],
)
def test_wrong_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_more_than_one_map_is_refused():
    with pytest.raises(ValueError, match=r"one map, but the backbone returns 2.*out_indices"):
        tiny()([torch.zeros(1, 8, 4, 4)] * 2)
