import copy

import pytest
import torch
from schedule_run import SGD, ScheduleRun
from torch import nn

from mim_plugins.engine.resume.configured_settings import apply_config_settings


def groups_of(kind, **settings):
    optimizer = getattr(torch.optim, kind)([nn.Parameter(torch.zeros(1))], lr=0.1, **settings)
    return optimizer, optimizer.param_groups


@pytest.mark.parametrize(
    ("kind", "old", "new", "line"),
    [
        ("AdamW", dict(weight_decay=0.05), dict(weight_decay=0.5), "weight_decay was 0.05 and is"),
        ("AdamW", dict(betas=(0.9, 0.95)), dict(betas=(0.5, 0.6)), "betas was (0.9, 0.95) and is"),
        ("AdamW", dict(eps=1e-8), dict(eps=1e-6), "eps was 1e-08 and is 1e-06"),
        ("SGD", dict(momentum=0.9), dict(momentum=0.5), "momentum was 0.9 and is 0.5"),
        ("SGD", dict(momentum=0.9), dict(momentum=0.9, nesterov=True), "nesterov was False and is"),
        ("RMSprop", dict(alpha=0.9), dict(alpha=0.5), "alpha was 0.9 and is 0.5"),
    ],
)
def test_changed_setting_follows_the_config_with_a_message(kind, old, new, line):
    saved = copy.deepcopy(groups_of(kind, **old)[1])
    optimizer, built = groups_of(kind, **new)
    lines = apply_config_settings(optimizer, built, saved, ["lr"])
    assert len(lines) == 1
    assert lines[0].startswith(line)
    assert {name: saved[0][name] for name in new} == new
    assert apply_config_settings(optimizer, built, saved, ["lr"]) == []


def test_implementation_settings_follow_without_a_message():
    optimizer, built = groups_of("AdamW", foreach=False)
    saved = copy.deepcopy(built)
    saved[0] |= dict(foreach=True, capturable=True, differentiable=True)
    assert apply_config_settings(optimizer, built, saved, ["lr"]) == []
    assert saved[0]["foreach"] is saved[0]["capturable"] is saved[0]["differentiable"] is False


def test_progress_and_scheduled_values_are_kept():
    optimizer, built = groups_of("AdamW", betas=(0.9, 0.95))
    saved = copy.deepcopy(built)
    saved[0] |= dict(lr=torch.tensor(0.5), weight_decay=0.3, betas=(0.7, 0.95), distance=3.0)
    assert apply_config_settings(optimizer, built, saved, ["lr", "weight_decay", "momentum"]) == []
    assert saved[0]["lr"] == 0.5
    assert type(saved[0]["lr"]) is float
    assert saved[0]["weight_decay"] == 0.3
    assert saved[0]["betas"] == (0.7, 0.95)
    assert saved[0]["distance"] == 3.0


def test_resumed_run_uses_the_new_weight_decay():
    schedule = [dict(type="CosineAnnealingLR", eta_min=0.01)]
    run = ScheduleRun(schedule, optimizer=SGD).go(12)
    changed = SGD | dict(weight_decay=0.5, momentum=0.8)
    other = ScheduleRun(schedule, optimizer=changed)
    lines = other.resume(run.checkpoint())
    assert lines == [
        "momentum was 0.9 and is 0.8, as configured",
        "weight_decay was 0.05 and is 0.5, as configured",
    ]
