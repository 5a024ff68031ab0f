import time

import pytest
from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler import ExponentialLR
from mmengine.registry import PARAM_SCHEDULERS
from schedule_run import ScheduleRun

from mim_plugins.engine.resume.fast_forward import fast_forward
from mim_plugins.engine.resume.resumed_position import ResumedPosition

LENGTH = 4


@pytest.mark.parametrize("iterations", [0, 1, 7, 8, 9, 23, 24])
def test_state_equals_that_of_single_steps(iterations):
    schedulers = [
        dict(type="LinearLR", start_factor=0.1, end=7, by_epoch=False),
        dict(type="CosineAnnealingLR", begin=7, end=22, by_epoch=False, eta_min=1e-3),
        dict(type="StepLR", step_size=2, gamma=0.5),
        dict(type="PolyMomentum", eta_min=0.5, convert_to_iter_based=True),
        dict(type="ConstantParamScheduler", param_name="weight_decay", begin=1, end=4),
    ]
    stepped = ScheduleRun(schedulers).go(iterations)
    built = ScheduleRun(schedulers)
    position = ResumedPosition(iterations, iterations // LENGTH, LENGTH)
    fast_forward(built.param_schedulers, built.optim_wrapper.param_groups, position)
    assert built.values() == stepped.values()
    for one, other in zip(built.param_schedulers, stepped.param_schedulers, strict=True):
        expected = other.state_dict() | dict(_last_value=one.state_dict()["_last_value"])
        assert one.state_dict() == expected


def test_200_000_iterations_take_seconds():
    schedulers = [
        dict(type="LinearLR", start_factor=0.1, end=10_000, by_epoch=False),
        dict(type="CosineAnnealingLR", begin=10_000, end=400_000, by_epoch=False),
    ]
    run = ScheduleRun(schedulers, epochs=None, iterations=400_000)
    start = time.process_time()
    groups = run.optim_wrapper.param_groups
    fast_forward(run.param_schedulers, groups, ResumedPosition(200_000, 0, LENGTH))
    assert time.process_time() - start < 6  # 0.6 s on a free core
    # closed form of the cosine, half way after the warm-up
    assert groups[0]["lr"] == pytest.approx(0.1 * 0.5 * (1 + 0.0402659), rel=1e-3)


@PARAM_SCHEDULERS.register_module()
class EachGroupItsOwn(_ParamScheduler):
    """Custom scheduler with a value per group."""

    def __init__(self, optimizer, epoch_length=None, **kwargs):
        self.factors = [0.5 + 0.1 * index for index in range(len(optimizer.param_groups))]
        super().__init__(optimizer, "lr", **kwargs)

    def _get_value(self):
        return [
            base * factor**self.last_step
            for base, factor in zip(self.base_values, self.factors, strict=True)
        ]


def test_schedulers_of_other_projects_are_stepped_group_by_group():
    schedulers = [dict(type="EachGroupItsOwn", begin=3, end=9, by_epoch=False)]
    stepped, built = ScheduleRun(schedulers).go(7), ScheduleRun(schedulers)
    groups = built.optim_wrapper.param_groups
    fast_forward(built.param_schedulers, groups, ResumedPosition(7, 1, LENGTH))
    assert built.values() == stepped.values()
    assert groups[2]["lr"] != groups[0]["lr"]


def test_groups_with_equal_values_are_stepped_once(monkeypatch):
    run = ScheduleRun([dict(type="ExponentialLR", gamma=0.5, by_epoch=False)])
    sizes = set()
    original = ExponentialLR._get_value
    monkeypatch.setattr(
        ExponentialLR,
        "_get_value",
        lambda self: sizes.add(len(self.optimizer.param_groups)) or original(self),
    )
    fast_forward(
        run.param_schedulers, run.optim_wrapper.param_groups, ResumedPosition(5, 1, LENGTH)
    )
    groups = run.optim_wrapper.param_groups
    assert (len(groups), sizes) == (5, {4})  # MMEngine's additional group is the last
    assert [group["lr"] * 32 for group in groups] == pytest.approx([0.1, 0.025, 0.1, 0.05, 0.1])
