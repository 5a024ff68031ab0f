import math

import torch
from torch import nn

from mim_plugins.layers import init_linear_and_norm


def test_linear_maps_become_xavier_uniform_without_bias():
    linear = nn.Linear(300, 100)
    nn.init.constant_(linear.weight, 9.0)
    nn.init.constant_(linear.bias, 9.0)

    linear.apply(init_linear_and_norm)

    bound = math.sqrt(6 / 400)
    assert linear.weight.abs().max() <= bound
    assert math.isclose(linear.weight.std().item(), bound / math.sqrt(3), rel_tol=0.02)
    assert torch.equal(linear.bias, torch.zeros(100))


def test_norms_become_the_identity():
    norm = nn.LayerNorm(4)
    nn.init.constant_(norm.weight, 9.0)
    nn.init.constant_(norm.bias, 9.0)

    norm.apply(init_linear_and_norm)

    assert torch.equal(norm.weight, torch.ones(4))
    assert torch.equal(norm.bias, torch.zeros(4))


def test_other_modules_and_linear_maps_without_bias_are_accepted():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, 4, bias=False))
    before = model[0].weight.clone()

    model.apply(init_linear_and_norm)

    assert torch.equal(model[0].weight, before)
