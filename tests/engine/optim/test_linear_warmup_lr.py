import math

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from schedule_run import ScheduleRun, whole_and_resumed

from mim_plugins.errors import CheckpointError, ConfigError

SCHEDULE = [
    dict(type="mim_plugins.LinearWarmupLR", end=2, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", begin=2, eta_min_ratio=0.01, convert_to_iter_based=True),
]


def rates(schedulers, **run):
    return [groups[0]["lr"] for groups in ScheduleRun(schedulers, **run).go().trace]


def test_warm_up_and_cosine_are_those_of_maes_code():
    length, epochs, warmup, lr, lowest = 4, 6, 2, 0.1, 0.001

    def expected(epoch):
        if epoch < warmup:
            return lr * epoch / warmup
        share = (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup))) / 2
        return lowest + (lr - lowest) * share

    found = rates(SCHEDULE, length=length, epochs=epochs)
    assert found == pytest.approx([expected(i / length) for i in range(epochs * length)])
    assert found[0] == 0
    assert found[warmup * length] == lr


def test_groups_keep_the_ratio_of_their_rates():
    for groups in ScheduleRun(SCHEDULE).go().trace:
        assert groups[1]["lr"] == pytest.approx(0.25 * groups[0]["lr"])


def test_without_warm_up_the_first_rate_is_the_full_one():
    schedule = [SCHEDULE[0] | dict(end=0), SCHEDULE[1] | dict(begin=0)]
    assert rates(schedule)[0] == 0.1


def test_a_warm_up_may_begin_later_and_count_epochs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    cfg = dict(type="mim_plugins.LinearWarmupLR", begin=2, end=4)
    scheduler = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=optimizer))
    found = []
    for _ in range(6):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert found == [1, 1, 0, 0.5, 1, 1]


@pytest.mark.parametrize("converted", [False, True])
def test_a_fractional_warm_up_never_exceeds_the_full_rate(converted):
    length = 3 if converted else 1
    schedule = [
        dict(type="mim_plugins.LinearWarmupLR", end=2.5, convert_to_iter_based=converted),
    ]
    run = ScheduleRun(schedule, length=length, epochs=4).go()
    found = [groups[0]["lr"] for groups in run.trace]
    steps = 2.5 * length
    expected = [0.1 * min(step / steps, 1) for step in range(4 * length)]
    assert found == pytest.approx(expected)


def test_a_cosine_after_a_fractional_warm_up_starts_at_the_top():
    schedule = [SCHEDULE[0] | dict(end=0.5), SCHEDULE[1] | dict(begin=0.5)]
    found = rates(schedule, length=5, epochs=3)
    assert found[:3] == pytest.approx([0, 0.04, 0.08])
    assert 0.098 < found[3] < 0.1
    assert found[3:] == sorted(found[3:], reverse=True)


def test_products_of_epochs_and_iterations_are_not_truncated():
    schedule = [SCHEDULE[0] | dict(end=0.29)]
    found = rates(schedule, length=100, epochs=1)
    assert found[29:31] == [0.1, 0.1]
    assert found[28] == pytest.approx(0.1 * 28 / 29)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(begin=4, end=2), "begin=4 and end=2 must be numbers with 0 <= begin <= end"),
        (dict(end=-1), "end=-1 must"),
        (dict(end="2"), "end='2' must"),
        (dict(end=2, start_factor=0.1), "start_factor=0.1 cannot be set"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ScheduleRun([dict(type="mim_plugins.LinearWarmupLR") | settings])


def test_the_state_of_another_scheduler_is_refused():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    old, new = (
        PARAM_SCHEDULERS.build(dict(type=kind, end=4), default_args=dict(optimizer=optimizer))
        for kind in ("LinearLR", "mim_plugins.LinearWarmupLR")
    )
    new.load_state_dict(new.state_dict())
    with pytest.raises(CheckpointError, match="that of another scheduler"):
        new.load_state_dict(old.state_dict())


@pytest.mark.parametrize("stop", [5, 8, 9, 13])
def test_a_resumed_run_has_the_same_rates(stop):
    run = dict(schedulers=SCHEDULE)
    whole, resumed, changes = whole_and_resumed(run, run, stop)
    assert whole == resumed
    assert changes == []


def test_a_longer_resumed_run_has_the_rates_of_its_length():
    before, after = (dict(schedulers=SCHEDULE, epochs=epochs) for epochs in (4, 6))
    whole, resumed, changes = whole_and_resumed(before, after, 10)
    assert whole == resumed
    assert changes
