import itertools
import time

import pytest
from mmengine.config import Config
from schedule_run import SGD, ScheduleRun, whole_and_resumed

from mim_plugins.cli.run_config import trim_schedule

ADAM = dict(type="AdamW", lr=0.1, betas=(0.9, 0.95), weight_decay=0.05)
LENGTH = 4  # iterations per epoch
KINDS = {  # schedules of an epoch-based run, in epochs
    "constant": [dict(type="ConstantLR", factor=0.5, end=4)],
    "cosine": [dict(type="CosineAnnealingLR", eta_min=0.01)],
    "cosine_period": [dict(type="CosineAnnealingLR", T_max=2, eta_min_ratio=0.1)],
    "warm_up_cosine": [
        dict(type="LinearLR", start_factor=0.1, end=2),
        dict(type="CosineAnnealingLR", begin=2, eta_min_ratio=0.01),
    ],
    "overlapping": [
        dict(type="ExponentialLR", gamma=0.9, begin=1, end=4),
        dict(type="CosineAnnealingLR", begin=2),
    ],
    "exponential": [dict(type="ExponentialLR", gamma=0.7)],
    "linear": [dict(type="LinearLR", start_factor=1.0, end_factor=0.1)],
    "steps": [
        dict(type="MultiStepLR", milestones=[1, 2, 4], gamma=0.3),
        dict(type="StepLR", step_size=3, gamma=0.5),
    ],
    "one_cycle": [dict(type="OneCycleLR", eta_max=0.3)],
    "poly": [dict(type="PolyLR", power=0.9, eta_min=0.001)],
    "restarts": [
        dict(type="CosineRestartLR", periods=[2, 3, 5], restart_weights=[1, 0.5, 0.2], eta_min=0.0)
    ],
    "momentum": [
        dict(type="LinearMomentum", start_factor=0.5, end=2),
        dict(type="CosineAnnealingMomentum", begin=2, eta_min=0.2),
        dict(type="PolyLR"),
    ],
    "weight_decay": [
        dict(type="CosineAnnealingParamScheduler", param_name="weight_decay", eta_min=0.001)
    ],
    "none": None,
}


def in_units(schedulers, unit):
    """Return epoch-based schedulers converted to iterations, or with lengths in iterations."""
    if schedulers is None or unit == "epoch":
        return schedulers
    if unit == "converted":
        return [scheduler | dict(convert_to_iter_based=True) for scheduler in schedulers]
    found = []
    for scheduler in schedulers:
        scaled = dict(scheduler, by_epoch=False)
        for key in ("begin", "end", "T_max", "step_size"):
            if key in scaled:
                scaled[key] *= LENGTH
        for key in ("milestones", "periods"):
            if key in scaled:
                scaled[key] = [each * LENGTH for each in scaled[key]]
        found.append(scaled)
    return found


CHANGES = {  # changes of the resumed run, and the iteration of the checkpoint
    "nothing": (dict(), 12),
    "longer": (dict(epochs=9), 12),
    "much_longer_within_an_epoch": (dict(epochs=40), 9),
    "shorter": (dict(epochs=5), 15),
    "half_the_batch": (dict(length=2 * LENGTH), 10),
    "twice_the_processes": (dict(length=LENGTH // 2), 12),
    "longer_with_other_batches": (dict(length=3, epochs=8), 13),
    "other_rate": (dict(optimizer=SGD | dict(lr=0.02)), 12),
    "at_the_end_of_a_trial_run": (dict(epochs=8), 24),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("unit", ["epoch", "converted", "iteration"])
@pytest.mark.parametrize("kind", KINDS)
def test_schedule_after_resuming_is_the_configs(kind, unit, change):
    schedulers = in_units(KINDS[kind], unit)
    changed, stop = CHANGES[change]
    before = dict(schedulers=schedulers)
    whole, resumed, _ = whole_and_resumed(before, before | changed, stop)
    assert resumed
    assert resumed == whole


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("names", [(), ("one", "other")], ids=["single", "several"])
@pytest.mark.parametrize(("first", "second"), itertools.permutations(
    ["warm_up_cosine", "one_cycle", "momentum", "weight_decay", "none"], 2
))  # fmt: skip
def test_schedulers_may_change(first, second, names, optimizer):
    before = dict(schedulers=KINDS[first], optimizer=optimizer, names=names)
    whole, resumed, changes = whole_and_resumed(before, before | dict(schedulers=KINDS[second]), 12)
    assert resumed == whole
    assert changes


def test_each_optimizer_follows_its_own_schedule():
    names = ("one", "other")
    before = dict(schedulers=dict(one=KINDS["poly"], other=KINDS["warm_up_cosine"]), names=names)
    after = before | dict(schedulers=dict(one=KINDS["cosine"], other=KINDS["warm_up_cosine"]))
    whole, resumed, changes = whole_and_resumed(before, after | dict(epochs=7), 9)
    assert resumed == whole
    assert "one: CosineAnnealingLR follows the config, not the checkpoint" in changes
    assert "other: CosineAnnealingLR follows the config, not the checkpoint" in changes


@pytest.mark.parametrize("unit", ["epoch", "converted", "iteration"])
@pytest.mark.parametrize("stop", [1, 4, 8])
def test_trial_run_within_warm_up_can_resume_at_full_length(stop, unit):
    schedulers = in_units(KINDS["warm_up_cosine"], unit)
    trial = Config(dict(train_cfg=dict(max_epochs=2), param_scheduler=schedulers))
    if unit != "iteration":
        assert "warm-up" in trim_schedule(trial)
    before = dict(schedulers=trial.param_scheduler[:1], epochs=2)
    whole, resumed, changes = whole_and_resumed(before, dict(schedulers=schedulers), stop)
    assert resumed == whole
    assert changes[0] == "the checkpoint's run had 2 epochs, this one has 6"
    assert "the checkpoint has 1 schedulers, the config 2" in changes[1]
    assert resumed[-1][0]["lr"] < 0.02 < max(values[0]["lr"] for values in resumed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("iterations", [30, 24, 20])
def test_iteration_based_runs_follow_the_config(kind, iterations):
    schedulers = in_units(KINDS[kind], "iteration")
    before = dict(schedulers=schedulers, epochs=None, iterations=24)
    after = before | dict(iterations=iterations, length=3)
    whole, resumed, changes = whole_and_resumed(before, after, 13)
    assert len(resumed) == iterations - 13
    assert resumed == whole
    assert iterations != 24 or not changes


@pytest.mark.parametrize("kind", KINDS)
def test_schedule_follows_the_last_of_several_changes(kind):
    schedulers = in_units(KINDS[kind], "converted")
    last = dict(schedulers=schedulers, epochs=9, length=3, optimizer=SGD | dict(lr=0.03))
    checkpoint = ScheduleRun(schedulers).go(9).checkpoint()
    for arguments in (dict(schedulers=schedulers, epochs=7, length=8), last):
        run = ScheduleRun(**arguments)
        assert run.resume(checkpoint)
        checkpoint = run.go(run.iter + 3).checkpoint()
    run = ScheduleRun(**last)
    assert run.resume(checkpoint) == []
    start = run.iter
    assert run.go().trace == ScheduleRun(**last).go().trace[start:]


@pytest.mark.parametrize("missing", ["param_schedulers", "optimizer"])
def test_file_without_scheduler_states_follows_the_config(missing):
    checkpoint = ScheduleRun(KINDS["warm_up_cosine"]).go(12).checkpoint()
    del checkpoint[missing]
    resumed, whole = ScheduleRun(KINDS["warm_up_cosine"]), ScheduleRun(KINDS["warm_up_cosine"])
    resumed.resume(checkpoint)
    assert resumed.go().trace == whole.go().trace[12:]


def test_unchanged_schedules_have_the_checkpoints_states():
    schedulers = in_units([*KINDS["warm_up_cosine"], *KINDS["momentum"]], "converted")
    run = ScheduleRun(schedulers).go(7)
    resumed = ScheduleRun(schedulers)
    assert resumed.resume(run.checkpoint()) == []
    assert resumed.values() == run.values()
    assert [s.state_dict() for s in resumed.param_schedulers] == [
        s.state_dict() for s in run.param_schedulers
    ]


def test_schedule_behind_its_position_is_stepped_forward():
    """A checkpoint of another version has its second scheduler at step 0."""
    checkpoint = ScheduleRun(KINDS["warm_up_cosine"]).go(12).checkpoint()
    checkpoint["param_schedulers"][1]["_global_step"] = 0
    resumed, whole = ScheduleRun(KINDS["warm_up_cosine"]), ScheduleRun(KINDS["warm_up_cosine"])
    assert "CosineAnnealingLR" in resumed.resume(checkpoint)[0]
    assert resumed.go().trace == whole.go().trace[12:]


@pytest.mark.parametrize("count", [10**8, 2**61])
@pytest.mark.parametrize("epochs", [6, None])
def test_position_beyond_the_end_takes_no_time(count, epochs):
    schedule = KINDS["warm_up_cosine"]
    if epochs is None:
        schedule = in_units(schedule, "iteration")
    run = ScheduleRun(schedule, epochs=epochs, iterations=24).go(12)
    content = run.checkpoint()
    content["meta"].update(epoch=count, iter=count)
    begin = time.process_time()
    lines = ScheduleRun(schedule, epochs=epochs, iterations=24).resume(content)
    assert time.process_time() - begin < 1
    assert any("nothing is left to train" in line for line in lines)


def set_rate(content):
    content["optimizer"]["param_groups"][0]["lr"] = 0.9


def set_rates_of_all_groups(content):
    for group in content["optimizer"]["param_groups"]:
        group["lr"] *= 2


def set_base_values(content):
    content["param_schedulers"][1]["base_values"] = []


def set_last_step(content):
    content["param_schedulers"][0]["last_step"] = 9


def set_last_value(content):
    content["param_schedulers"][1]["_last_value"][2] = 1.0


@pytest.mark.parametrize("unit", ["epoch", "converted"])
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_rate, "learning rate 0.9, not 0."),
        (set_rates_of_all_groups, "learning rate 0."),
        (set_base_values, "base_values of CosineAnnealingLR"),
        (set_last_step, "last_step of LinearLR"),
        (set_last_value, "_last_value of CosineAnnealingLR"),
    ],
)
def test_values_that_contradict_the_position_are_replaced(change, named, unit):
    schedulers = in_units(KINDS["warm_up_cosine"], unit)
    content = ScheduleRun(schedulers).go(13).checkpoint()
    change(content)
    run = ScheduleRun(schedulers)
    (line,) = run.resume(content)
    assert "are not those of the schedule at its position" in line
    assert named in line
    assert run.go().trace == ScheduleRun(schedulers).go().trace[13:]
