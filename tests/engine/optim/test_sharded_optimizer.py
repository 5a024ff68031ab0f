from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributed.optim import ZeroRedundancyOptimizer

from mim_plugins.engine.optim.sharded_optimizer import (
    build_sharded_optimizer,
    gather_optimizer_state,
)
from mim_plugins.registry import OPTIMIZERS


@pytest.fixture
def _one_process(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture
def groups():
    parameters = [nn.Parameter(torch.randn(3, 2)), nn.Parameter(torch.randn(5))]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    return [
        dict(params=parameters[:1], lr=0.1, weight_decay=0.5, lr_scale=0.7),
        dict(params=parameters[1:], lr=0.2, weight_decay=0.0, lr_scale=1.0),
    ]


@pytest.mark.usefixtures("_one_process")
def test_sharded_groups_train_like_the_plain_optimizer(groups):
    expected = [group["params"][0].detach().clone() for group in groups]
    plain = torch.optim.AdamW(
        [
            dict(params=[value], lr=group["lr"], weight_decay=group["weight_decay"])
            for value, group in zip(expected, groups, strict=True)
        ]
    )
    for value, group in zip(expected, groups, strict=True):
        value.grad = group["params"][0].grad.clone()
    optimizer = OPTIMIZERS.build(
        dict(type="mim_plugins.ShardedOptimizer", params=groups, optimizer_type="AdamW")
    )
    assert isinstance(optimizer, ZeroRedundancyOptimizer)

    for step in (1.0, 0.5):  # like a scheduler that changes the learning rate
        for kind in (optimizer, plain):
            kind.param_groups[0]["lr"] = 0.1 * step
            kind.step()

    for group, value in zip(groups, expected, strict=True):
        assert torch.equal(group["params"][0], value)


@pytest.mark.usefixtures("_one_process")
def test_saving_without_gathering_raises_instead_of_hanging(groups):
    optimizer = build_sharded_optimizer(groups, "AdamW")
    optimizer.step()
    with pytest.raises(RuntimeError, match="consolidate"):
        optimizer.state_dict()

    gather_optimizer_state(SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer)))

    assert len(optimizer.state_dict()["state"]) == 2


def test_other_optimizers_are_unchanged(groups):
    optimizer = torch.optim.AdamW(groups)
    gather_optimizer_state(SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer)))
    gather_optimizer_state(SimpleNamespace(optim_wrapper=SimpleNamespace()))


def test_single_process_gets_the_plain_optimizer(groups):
    assert type(build_sharded_optimizer(groups, "AdamW")) is torch.optim.AdamW


def test_unknown_optimizer_type_is_rejected(groups):
    with pytest.raises(ValueError, match="optimizer_type='AdamX'"):
        build_sharded_optimizer(groups, "AdamX")
