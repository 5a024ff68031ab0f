import copy
import re

import pytest
import torch
from mrmae_fakes import colors_target
from torch import nn

from mim_plugins.algorithms import Mimic
from mim_plugins.errors import ConfigError
from mim_plugins.registry import MODELS

TARGET = colors_target(out_channels=3)


def build(**changes):
    return MODELS.build(
        dict(type="mim_plugins.Mimic", target_generator=TARGET, in_channels=6, **changes)
    )


def test_the_teacher_uses_the_grid_of_the_student():
    mimic, pixels = build(), torch.rand(2, 3, 24, 32)

    target = mimic.teacher_features(pixels, (3, 4))

    assert mimic.target_generator.calls == [((3, 4), False)]
    assert target.features.shape == (2, 12, 3)
    for row in range(3):
        for col in range(4):
            cell = pixels[:, :, 8 * row : 8 * row + 8, 8 * col : 8 * col + 8].mean(dim=(2, 3))
            expected = cell @ mimic.target_generator.mixture
            assert torch.allclose(target.features[:, row * 4 + col], expected, atol=1e-5)
    assert target.attention is None


@pytest.mark.parametrize("scale", [2, 4])
def test_finer_teacher_features_are_averaged_over_student_cells(scale):
    mimic, pixels = build(grid_scale=scale), torch.rand(2, 3, 24, 32)
    fine = (3 * scale, 4 * scale)

    features = mimic.teacher_features(pixels, (3, 4)).features

    fine_features = mimic.target_generator(pixels, fine).features
    for row in range(3):
        for col in range(4):
            cells = [
                (scale * row + i) * fine[1] + scale * col + j
                for i in range(scale)
                for j in range(scale)
            ]
            expected = sum(fine_features[:, cell] for cell in cells) / scale**2
            assert torch.allclose(features[:, row * 4 + col], expected, atol=1e-6)
    assert mimic.target_generator.calls[0] == (fine, False)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_attention_is_summed_over_student_cells(scale):
    mimic, pixels = build(grid_scale=scale), torch.rand(2, 3, 24, 32)
    pixels[0, :, :8, 8:16] += 3  # one bright cell: row 0, column 1
    attention = mimic.teacher_features(pixels, (3, 4), with_attention=True).attention
    fine = mimic.target_generator(pixels, (3 * scale, 4 * scale), True).attention
    expected = fine.reshape(2, 3, scale, 4, scale).sum(dim=(2, 4)).reshape(2, 12)
    assert torch.allclose(attention, expected, atol=1e-6)
    assert torch.allclose(attention.sum(dim=1), torch.ones(2), atol=1e-5)
    assert attention[0].argmax() == 1


@pytest.mark.parametrize("weight", [0, 0.5, 3])
def test_the_weight_is_a_factor_of_the_loss(weight):
    plain, weighted = build(), build(weight=weight)
    weighted.load_state_dict(plain.state_dict())
    tokens, features = torch.randn(2, 5, 6), torch.randn(2, 5, 3)
    expected = weight * plain(tokens, features).item()
    assert weighted(tokens, features).item() == pytest.approx(expected, rel=1e-6)
    assert plain.weight == 1


def test_the_head_has_the_widths_and_distance_of_the_config():
    mimic = build(distance="cosine", fusion_layers=[0, 2])
    assert mimic.head.proj.weight.shape == (3, 6)
    assert mimic.head.distance == "cosine"
    assert len(mimic.head.fusion) == 2
    assert mimic.fusion_layers == (0, 2)


@pytest.mark.parametrize(
    ("given", "layers"), [(1, (1,)), (0, (0,)), ([2, 0], (2, 0)), (range(2), (0, 1)), ((), ())]
)
def test_fusion_layers_are_one_index_or_a_list(given, layers):
    mimic = build(fusion_layers=given)
    assert mimic.fusion_layers == layers
    assert len(mimic.head.fusion) == len(layers)


@pytest.mark.parametrize("given", [None, True, "1", 1.0, [0, "1"], [None], [[0]]])
def test_fusion_layers_of_other_kinds_are_refused(given):
    with pytest.raises(ConfigError, match=rf"fusion_layers={re.escape(repr(given))} must be the"):
        build(fusion_layers=given)


def test_intermediate_layers_are_fused():
    mimic, tokens, features = build(fusion_layers=(1,)), torch.randn(2, 5, 6), torch.randn(2, 5, 3)
    level = torch.randn(2, 5, 6)
    fused = tokens + mimic.head.fusion[0](nn.functional.layer_norm(level, (6,)))
    expected = (mimic.head.proj(fused) - features).square().mean()
    assert mimic(tokens, features, (level,)).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(weight=-0.1), r"Mimic: weight=-0\.1 must be a number of at least 0"),
        (dict(weight="1"), "Mimic: weight='1' must be a number"),
        (dict(weight=float("nan")), "Mimic: weight=nan must be a number"),
        (dict(grid_scale=0), "Mimic: grid_scale=0 must be an integer of at least 1"),
        (dict(grid_scale=2.0), "Mimic: grid_scale=2.0 must be an integer"),
        (dict(grid_scale=1.5), "Mimic: grid_scale=1.5 must be an integer"),
        (dict(grid_scale="2"), "Mimic: grid_scale='2' must be an integer"),
        (dict(distance="l3"), "distance='l3'"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_value(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_building_does_not_change_the_config():
    config = dict(
        type="mim_plugins.Mimic", target_generator=dict(TARGET), in_channels=6, fusion_layers=[0]
    )
    before = copy.deepcopy(config)
    assert isinstance(MODELS.build(config), Mimic)
    assert config == before
