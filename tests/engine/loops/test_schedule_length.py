import math
from types import SimpleNamespace

import pytest
from mmengine.hooks import CheckpointHook, EMAHook, Hook, LoggerHook
from tiny_run import ToyImages, toy_runner

from mim_plugins.engine.hooks import KNNHook, ReconstructionHook
from mim_plugins.engine.loops.schedule_length import check_count, check_intervals, check_units
from mim_plugins.errors import ConfigError

EPOCHS = dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2)
ITERATIONS = dict(type="mim_plugins.ResumableIterLoop", max_iters=2)
FINITE = dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler"))


@pytest.mark.parametrize("value", [0, -1, 0.5, True, None, "2", math.inf, math.nan])
def test_counts_below_one_or_of_other_types_are_rejected(value):
    with pytest.raises(ConfigError) as raised:
        check_count("train_cfg.max_epochs", value)
    assert str(raised.value) == (
        f"train_cfg.max_epochs={value!r} must be a whole number of at least 1"
    )


@pytest.mark.parametrize("value", [1, 3.0, 10**6])
def test_integers_pass(value):
    check_count("train_cfg.max_epochs", value)


class Often(Hook):
    def __init__(self, interval):
        self.interval = interval


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (CheckpointHook(interval=0), "CheckpointHook: interval=0 must"),
        (CheckpointHook(interval=-3), "CheckpointHook: interval=-3 must"),
        (CheckpointHook(interval=1.5), r"CheckpointHook: interval=1\.5 must"),
        (CheckpointHook(interval="10"), "CheckpointHook: interval='10' must"),
        (EMAHook(interval=0), "EMAHook: interval=0 must"),
        (Often(0), "Often: interval=0 must be a whole number of at least 1, or -1 for never"),
        (Often(math.nan), "Often: interval=nan must"),
        (Often(False), "Often: interval=False must"),
    ],
)
def test_hook_intervals_below_one_are_rejected(hook, expected):
    with pytest.raises(ConfigError, match=expected):
        check_intervals((1,), [LoggerHook(), hook])


@pytest.mark.parametrize("hook", [CheckpointHook(interval=-1), CheckpointHook(), Often(0.5)])
def test_never_and_intervals_in_seconds_pass(hook):
    check_intervals((1,), [LoggerHook(), EMAHook(), hook])


@pytest.mark.parametrize(
    ("loop", "changed", "expected"),
    [
        (EPOCHS, dict(max_epochs=0), "train_cfg.max_epochs=0 must be a whole number"),
        (EPOCHS, dict(max_epochs=-4), "train_cfg.max_epochs=-4"),
        (EPOCHS, dict(val_interval=0), "train_cfg.val_interval=0"),
        (EPOCHS, dict(dynamic_intervals=[(1, 0)]), "train_cfg.dynamic_intervals: interval=0"),
        (ITERATIONS, dict(max_iters=0), "train_cfg.max_iters=0"),
        (ITERATIONS, dict(max_iters=-1), "train_cfg.max_iters=-1"),
        (ITERATIONS, dict(val_interval=-2), "train_cfg.val_interval=-2"),
    ],
)
def test_loops_reject_invalid_lengths_before_training(tmp_path, loop, changed, expected):
    runner = toy_runner(tmp_path, train_cfg=loop | changed, train_dataloader=FINITE)
    with pytest.raises(ConfigError, match=expected):
        runner.train()
    assert not list(tmp_path.glob("*.pth"))


@pytest.mark.parametrize("loop", [EPOCHS, ITERATIONS])
def test_loops_check_the_hooks_of_the_run(tmp_path, loop):
    runner = toy_runner(tmp_path, train_cfg=loop, train_dataloader=FINITE, hooks=[Often(0)])
    with pytest.raises(ConfigError, match="Often: interval=0"):
        runner.train()


COSINE = dict(type="CosineAnnealingLR")


class Switch(Hook):
    def __init__(self, switch_epoch):
        self.switch_epoch = switch_epoch
        self.begin_epoch = 1


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (dict(param_scheduler=[COSINE]), "CosineAnnealingLR counts epochs .*set by_epoch=False"),
        (dict(checkpoint=dict(by_epoch=True, interval=2)), "CheckpointHook: interval=2 counts"),
        (dict(hooks=[KNNHook()]), "KNNHook: interval=10 counts epochs"),
        (dict(hooks=[ReconstructionHook()]), "ReconstructionHook: interval="),
        (dict(hooks=[CheckpointHook(interval=5)]), "CheckpointHook: interval=5 counts epochs"),
    ],
)
def test_epochs_in_a_run_of_iterations_are_rejected(tmp_path, changed, expected):
    runner = toy_runner(tmp_path, iterations=2, **changed)
    with pytest.raises(ConfigError, match=expected) as raised:
        runner.train()
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("*.pth"))


def test_schedulers_of_several_optimizers_are_checked():
    first, second = (SimpleNamespace(by_epoch=value) for value in (False, True))
    schedulers = dict(first=[first], second=[second])
    with pytest.raises(ConfigError, match="SimpleNamespace counts epochs"):
        check_units(SimpleNamespace(hooks=[], param_schedulers=schedulers))


@pytest.mark.parametrize(
    "changed",
    [
        dict(param_scheduler=[COSINE | dict(by_epoch=False)]),
        dict(param_scheduler=[COSINE | dict(convert_to_iter_based=True)]),
        dict(param_scheduler=[dict(type="ReduceOnPlateauLR", monitor="loss")]),
        dict(checkpoint=dict(by_epoch=True, interval=-1)),
        dict(hooks=[EMAHook(), LoggerHook()]),
        dict(train_cfg=EPOCHS, train_dataloader=FINITE, param_scheduler=[COSINE]),
    ],
)
def test_matching_units_pass(tmp_path, changed):
    toy_runner(tmp_path, iterations=2, **changed).train()


def test_default_checkpoint_hook_saves_the_end_with_a_warning(tmp_path, capsys):
    toy_runner(tmp_path, iterations=2, checkpoint=dict(by_epoch=True)).train()
    assert "AtomicCheckpointHook: interval=1 counts epochs" in capsys.readouterr().out
    assert [file.name for file in tmp_path.glob("*.pth")] == ["epoch_1.pth"]


def test_other_settings_in_epochs_cause_a_warning(tmp_path, capsys):
    toy_runner(tmp_path, iterations=2, hooks=[Switch(5)]).train()
    output = capsys.readouterr().out
    assert "Switch: switch_epoch=5 counts epochs" in output
    assert "begin_epoch" not in output
