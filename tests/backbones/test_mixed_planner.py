"""Plans change no result, and they are independent of the model."""

import pickle

import pytest
import torch
from tiny_models import TINY_BACKBONES
from torch import nn

from mim_plugins.layers import Grouping
from mim_plugins.registry import MODELS

CPU = torch.device("cpu")


@pytest.mark.parametrize("masks", [1, 2])
@pytest.mark.parametrize("name", TINY_BACKBONES)
def test_all_groupings_have_equal_tokens_and_gradients(name, masks):
    backbone = MODELS.build(TINY_BACKBONES[name])
    for parameter_name, parameter in backbone.named_parameters():
        if "bias_table" in parameter_name:
            nn.init.normal_(parameter)
    images, weight = torch.randn(2, 3, 64, 64), torch.randn(2, 16, 32)
    mask = torch.rand(masks, 4, 4) < 0.5

    def results(plan):
        backbone.zero_grad()
        tokens = backbone.forward_mixed(images, mask, plan)
        (tokens * weight).sum().backward()
        return [tokens, *(p.grad.clone() for p in backbone.parameters())]

    expected = results(None)
    for grouping in Grouping:
        for found, wanted in zip(
            results(backbone.planner(mask, CPU, grouping)), expected, strict=True
        ):
            difference = (found - wanted).norm()
            assert difference <= 1e-4 * wanted.norm() + 1e-10


def test_a_plan_made_beforehand_changes_no_bit():
    backbone = MODELS.build(TINY_BACKBONES["large_windows"])
    images, mask = torch.randn(2, 3, 64, 64), torch.rand(1, 4, 4) < 0.5
    planner = pickle.loads(pickle.dumps(backbone.planner))  # contains sizes only
    planned = backbone.forward_mixed(images, mask, planner(mask, CPU))
    assert torch.equal(planned, backbone.forward_mixed(images, mask))


def test_a_plan_for_another_grid_is_refused():
    backbone = MODELS.build(TINY_BACKBONES["large_windows"])
    plan = backbone.planner(torch.zeros(1, 2, 8, dtype=torch.bool), CPU)
    mask = torch.zeros(1, 8, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"plan is for \(8, 32\) tokens.*\(32, 8\)"):
        backbone.forward_mixed(torch.randn(1, 3, 128, 32), mask, plan)


def test_stages_without_a_planner_get_masks_on_the_device():
    backbone = MODELS.build(TINY_BACKBONES["pvt"])
    for stage in backbone.stages:
        del stage.planner
    plan = backbone.planner(torch.zeros(1, 4, 4, dtype=torch.bool), torch.device("meta"))
    assert [(x.device.type, tuple(x.shape)) for x in plan] == [
        ("meta", (1, 16, 16)), ("meta", (1, 8, 8)), ("meta", (1, 4, 4))
    ]  # fmt: skip
