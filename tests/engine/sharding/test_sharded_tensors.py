"""Conversion of tensors, on a mesh of one process."""

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from mim_plugins.engine.sharding.sharded_tensors import (
    distribute_optimizer,
    distribute_weights,
    gather_optimizer,
    gather_tensors,
    local_part,
)

pytestmark = pytest.mark.usefixtures("_one_process")


def shard(tensor, placement=None):
    mesh = init_device_mesh("cpu", (1,))
    return distribute_tensor(tensor, mesh, [placement or Shard(0)])


@pytest.fixture
def model():
    """Return a module whose weight is sharded and whose bias is not."""
    module = nn.Linear(3, 4)
    module.weight = nn.Parameter(shard(module.weight.detach()))
    return module


def test_only_sharded_tensors_are_gathered():
    weight = torch.randn(4, 3)
    found = gather_tensors(dict(weight=shard(weight), plain=weight, step=7))
    assert list(found) == ["weight"]
    assert type(found["weight"]) is torch.Tensor
    assert torch.equal(found["weight"], weight)


def test_the_local_part_is_a_plain_tensor():
    weight = torch.randn(4, 3)
    assert local_part(weight) is weight
    assert type(local_part(shard(weight))) is torch.Tensor
    assert torch.equal(local_part(shard(weight)), weight)


def test_weights_are_sharded_like_the_parameters(model):
    weight, bias = torch.randn(4, 3), torch.randn(4)
    state = {"part.weight": weight, "part.bias": bias, "other": weight}
    distribute_weights(model, state, "part.")
    assert isinstance(state["part.weight"], DTensor)
    assert state["part.weight"].placements == model.weight.placements
    assert torch.equal(state["part.weight"].full_tensor(), weight)
    assert state["part.bias"] is bias
    assert state["other"] is weight


@pytest.mark.parametrize("given", [torch.randn(2, 3), "sharded"])
def test_weights_of_other_sizes_or_already_sharded_are_kept(model, given):
    given = shard(torch.randn(4, 3), Replicate()) if isinstance(given, str) else given
    state = dict(weight=given)
    distribute_weights(model, state, "")
    assert state["weight"] is given


def test_an_optimizer_resumes_from_its_gathered_state(model):
    def optimizer_of(*parameters):
        groups = [dict(params=[each], lr=0.1) for each in parameters]
        return torch.optim.AdamW(groups)

    optimizer = optimizer_of(model.bias, model.weight)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    gathered = gather_optimizer(optimizer)
    assert list(gathered) == [1]  # the bias is not sharded
    state = optimizer.state_dict()
    complete = state | dict(state={0: state["state"][0], 1: state["state"][1] | gathered[1]})
    assert not any(isinstance(value, DTensor) for value in complete["state"][1].values())

    distributed = distribute_optimizer(optimizer, complete)["state"]
    for name in ("exp_avg", "exp_avg_sq"):
        assert isinstance(distributed[1][name], DTensor)
        assert type(distributed[0][name]) is torch.Tensor
        assert torch.equal(distributed[1][name].full_tensor(), gathered[1][name])
    assert type(distributed[1]["step"]) is torch.Tensor  # has no element per weight
