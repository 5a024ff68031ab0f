import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mim_plugins.engine.resume.checkpoint_compatibility import check_compatible
from mim_plugins.engine.resume.optimizer_values import expected_state
from mim_plugins.errors import CheckpointError


class Run:
    """Stub with the required attributes of a runner."""

    def __init__(self, kind, **settings):
        self.model = nn.Linear(2, 2)
        optimizer = getattr(torch.optim, kind)(self.model.parameters(), **dict(lr=0.1) | settings)
        self.optim_wrapper = OptimWrapper(optimizer)

    def saved(self, updates=1):
        for _ in range(updates):
            for parameter in self.model.parameters():
                parameter.grad = torch.ones_like(parameter)
            self.optim_wrapper.step()
        content = dict(
            meta=dict(iter=updates),
            state_dict=self.model.state_dict(),
            optimizer=self.optim_wrapper.state_dict(),
        )
        return copy.deepcopy(content)


KINDS = [
    ("AdamW", {}), ("AdamW", dict(amsgrad=True)), ("Adam", dict(maximize=True)), ("NAdam", {}),
    ("RAdam", {}), ("Adamax", {}), ("Adagrad", {}), ("Adadelta", {}), ("Rprop", {}), ("ASGD", {}),
    ("SGD", {}), ("SGD", dict(momentum=0.9)), ("RMSprop", dict(momentum=0.5, centered=True)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "settings"), KINDS)
@pytest.mark.parametrize("updates", [1, 3])
def test_valid_state_of_every_optimizer_is_accepted(kind, settings, updates):
    check_compatible(Run(kind, **settings), Run(kind, **settings).saved(updates), "x")


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        ("AdamW", "exp_avg", lambda v: v.to(torch.complex64), "exp_avg contains complex64"),
        ("AdamW", "exp_avg", lambda v: v.to(torch.int32), "exp_avg contains int32"),
        ("AdamW", "exp_avg_sq", lambda v: v > 0, "exp_avg_sq contains bool"),
        ("AdamW", "exp_avg_sq", lambda v: v * torch.nan, "exp_avg_sq contains NaN"),
        ("AdamW", "exp_avg_sq", lambda v: -v, "exp_avg_sq contains negative"),
        ("AdamW", "exp_avg", lambda v: v.double(), "exp_avg contains float64 numbers"),
        (
            "AdamW",
            "exp_avg_sq",
            lambda v: v.half(),
            "float16 numbers, but the parameter",
        ),
        ("Adamax", "exp_inf", lambda v: -v, "exp_inf contains negative"),
        ("Adagrad", "sum", lambda v: -v, "sum contains negative"),
        ("RMSprop", "square_avg", lambda v: -v, "square_avg contains negative"),
        ("Adadelta", "acc_delta", lambda v: v / 0 * 0, "acc_delta contains NaN"),
        ("Adam", "step", lambda v: -v, "step is -1"),
        ("Adam", "step", lambda v: v * 0, "step is 0"),
        ("Adam", "step", lambda v: v + 0.5, "step is 1.5"),
        ("NAdam", "step", lambda v: v * 1e30, r"step is 1e\+30"),
        ("NAdam", "step", lambda v: v > 0, "step is not a count"),
        ("RAdam", "step", lambda v: v + 0j, "step is not a count"),
    ],
)
def test_invalid_state_values_are_rejected(kind, name, change, message):
    content = Run(kind).saved()
    for entries in content["optimizer"]["state"].values():
        entries[name] = change(entries[name])
    with pytest.raises(CheckpointError, match=message):
        check_compatible(Run(kind), content, "x")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("maximize", True, "maximize is True in the file, False in the config"),
        ("amsgrad", True, "amsgrad is True in the file"),
    ],
)
def test_settings_of_another_meaning_are_rejected(name, value, message):
    content = Run("AdamW").saved()
    content["optimizer"]["param_groups"][0][name] = value
    with pytest.raises(CheckpointError, match=message):
        check_compatible(Run("AdamW"), content, "x")


@pytest.mark.parametrize("name", ["capturable", "differentiable", "foreach", "fused"])
def test_implementation_settings_may_differ(name):
    content = Run("AdamW").saved()
    content["optimizer"]["param_groups"][0][name] = True
    check_compatible(Run("AdamW"), content, "x")


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_stepped_optimizer_must_have_a_state(kind, settings):
    content = Run(kind, **settings).saved()
    content["optimizer"]["state"] = {}
    if (kind, settings) == ("SGD", {}):
        check_compatible(Run(kind), content, "x")
        return
    with pytest.raises(CheckpointError, match="of all parameters are missing"):
        check_compatible(Run(kind, **settings), content, "x")
    content["meta"]["iter"] = 0
    check_compatible(Run(kind, **settings), content, "x")


def test_settings_that_need_more_state_are_rejected():
    with pytest.raises(CheckpointError, match="need momentum_buffer"):
        check_compatible(Run("RMSprop", momentum=0.9), Run("RMSprop").saved(), "x")
    check_compatible(Run("SGD", momentum=0.9), Run("SGD").saved(), "x")


def test_optimizer_with_another_constructor_needs_no_state():
    class Other(torch.optim.SGD):
        def __init__(self, params, lr, mandatory):
            super().__init__(params, lr)

    assert expected_state(Other([nn.Parameter(torch.zeros(1))], 0.1, 1), {}) == ()
