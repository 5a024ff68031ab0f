import os
import time
from pathlib import Path

import pytest
import torch
from checkpoint_runs import hook_of, names
from mmengine.hooks import CheckpointHook, Hook
from timed_runs import Clock, Crash, weights_only
from tiny_run import toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.hooks import AtomicCheckpointHook, TimedCheckpointHook
from mim_plugins.engine.hooks import timed_checkpoint_hook as module
from mim_plugins.engine.hooks.preemption_hook import checkpoint_hook

pytestmark = pytest.mark.usefixtures("clock_read_early")


@pytest.fixture
def saved(monkeypatch):
    """Return iterations and names of the saves by time."""
    saves = []

    def save_iteration(self, runner, name, prospect, original=AtomicCheckpointHook.save_iteration):
        saves.append((runner.iter + 1, name))
        return original(self, runner, name, prospect)

    monkeypatch.setattr(AtomicCheckpointHook, "save_iteration", save_iteration)
    return saves


def train_until_crash(work_dir, monkeypatch, checkpoint):
    hooks = [TimedCheckpointHook(minutes=3), Crash(11), Clock(monkeypatch)]
    runner = toy_runner(work_dir, iterations=12, hooks=hooks, checkpoint=checkpoint)
    with pytest.raises(KeyboardInterrupt):
        runner.train()


def resumed(work_dir, checkpoint):
    hooks = [TimedCheckpointHook()]
    return toy_runner(work_dir, iterations=12, hooks=hooks, checkpoint=checkpoint, resume=True)


def test_run_resumes_exactly_from_the_newer_file_of_the_pair(tmp_path, monkeypatch, saved):
    checkpoint = dict(interval=100, save_last=True)
    whole = toy_runner(tmp_path / "whole", iterations=12)
    whole.train()
    train_until_crash(tmp_path / "run", monkeypatch, checkpoint)
    assert saved == [(3, "timed_0.pth"), (6, "timed_1.pth"), (9, "timed_0.pth")]
    iterations = {
        file.name: torch.load(file, weights_only=False)["meta"]["iter"]
        for file in tmp_path.glob("run/*.pth")
    }
    assert iterations == {"timed_0.pth": 9, "timed_1.pth": 6}

    (tmp_path / "run/timed_0.pth").write_bytes(b"corrupt")
    rest = resumed(tmp_path / "run", checkpoint)
    rest.call_hook("before_run")
    assert rest._load_from.endswith("timed_1.pth")
    rest.train()
    assert rest.model.weight.tolist() == whole.model.weight.tolist()
    assert [file.name for file in tmp_path.glob("run/*.pth")] == ["iter_12.pth"]


@pytest.mark.parametrize("left_out", ["save_optimizer", "save_param_scheduler"])
def test_run_whose_regular_files_are_weights_resumes_exactly(tmp_path, monkeypatch, left_out):
    checkpoint = {"interval": 2, left_out: False}
    whole = toy_runner(tmp_path / "whole", iterations=12)
    whole.train()
    train_until_crash(tmp_path / "run", monkeypatch, checkpoint)
    rest = resumed(tmp_path / "run", checkpoint)
    rest.train()
    assert rest.model.weight.tolist() == whole.model.weight.tolist()
    assert "optimizer" in torch.load(tmp_path / "whole/iter_12.pth", weights_only=False)
    last = torch.load(tmp_path / "run/iter_12.pth", weights_only=False)
    assert left_out.removeprefix("save_") not in {key.removesuffix("s") for key in last}


def test_a_clock_set_back_does_not_replace_the_newer_file(tmp_path, monkeypatch, saved):
    class SetBack(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            for file in tmp_path.glob("timed_0.pth"):
                os.utime(file, (2e9, 2e9))

    hooks = [TimedCheckpointHook(minutes=1), Clock(monkeypatch), SetBack()]
    checkpoint = dict(interval=100, background=False)
    toy_runner(tmp_path, iterations=5, hooks=hooks, checkpoint=checkpoint).train()
    assert [name for _, name in saved] == ["timed_0.pth", "timed_1.pth"] * 2


def test_regular_checkpoints_postpone_those_by_time(tmp_path, monkeypatch, saved):
    hooks = [TimedCheckpointHook(minutes=3), Clock(monkeypatch)]
    toy_runner(tmp_path, iterations=9, hooks=hooks, checkpoint=dict(interval=2)).train()
    assert saved == []


class Improve(Hook):
    """Hook that reports a better metric after each iteration."""

    def after_train_iter(self, runner, *args, **kwargs):
        checkpoint_hook(runner, "test").after_val_epoch(runner, dict(acc=runner.iter))


def better_metrics(folder):
    return Improve()


def in_another_folder(folder):
    return CheckpointHook(interval=1, by_epoch=False, out_dir=str(folder / "other"))


@pytest.mark.parametrize("other", [better_metrics, weights_only, in_another_folder])
def test_other_files_do_not_postpone_those_by_time(tmp_path, monkeypatch, saved, other):
    hooks = [other(tmp_path), TimedCheckpointHook(minutes=3), Clock(monkeypatch)]
    checkpoint = dict(interval=100, save_best="acc", rule="greater")
    toy_runner(tmp_path / "run", iterations=7, hooks=hooks, checkpoint=checkpoint).train()
    assert saved == [(3, "timed_0.pth"), (6, "timed_1.pth")]


def test_interval_grows_with_slow_saves_and_is_reported_once(tmp_path, monkeypatch, saved, caplog):
    hooks = [TimedCheckpointHook(minutes=2, max_share=0.1), Clock(monkeypatch, save=60)]
    runner = toy_runner(tmp_path, iterations=30, hooks=hooks, checkpoint=dict(interval=100))
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert [iteration for iteration, _ in saved] == [2, 12, 22]
    assert caplog.text.count("they are now saved every 10 minutes") == 1


def test_no_accumulated_gradients_are_lost(tmp_path, monkeypatch, saved):
    hooks = [TimedCheckpointHook(minutes=1), Clock(monkeypatch)]
    runner = toy_runner(tmp_path, iterations=6, hooks=hooks, checkpoint=dict(interval=100))
    runner.optim_wrapper["accumulative_counts"] = 2
    runner.train()
    assert [iteration for iteration, _ in saved] == [2, 4]  # the end of the run saves anyway


def test_checks_are_rare_but_within_half_the_remaining_time(tmp_path, monkeypatch):
    checks = []
    monkeypatch.setattr(module, "broadcast", lambda plan: checks.append(plan.tolist()))
    hooks = [TimedCheckpointHook(minutes=0.2), Clock(monkeypatch, iteration=0.1)]
    runner = toy_runner(tmp_path, iterations=130, hooks=hooks, checkpoint=dict(interval=1000))
    runner.train()
    assert sum(is_due for is_due, _ in checks) == 1
    assert len(checks) < 40
    assert max(wait for _, wait in checks) <= 12  # a tenth of the interval


def train_with_different_clocks(rank, folder):
    module._FIRST_CHECK = 2
    pause = type("Pause", (Hook,), dict(after_train_iter=lambda *a, **k: time.sleep(0.05)))()
    hook = TimedCheckpointHook(minutes=0.2 / 60 if rank == 0 else 1e-4)
    toy_runner(
        folder, hooks=[hook, pause, Crash(12)], iterations=13, checkpoint=dict(interval=100),
        **DISTRIBUTED,
    ).train()  # fmt: skip


def test_clock_of_the_main_process_decides_for_all(tmp_path):
    codes, _ = in_two_processes(train_with_different_clocks, tmp_path)
    assert codes == [1, 1]  # both were interrupted: neither hung in a collective
    assert {file.name for file in tmp_path.glob("*.pth")} <= {"timed_0.pth", "timed_1.pth"}
    assert (tmp_path / "timed_0.pth").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(dict(minutes=0), "minutes=0 must be positive"), (dict(max_share=1), "max_share=1 must be")],
)
def test_invalid_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        TimedCheckpointHook(**arguments)


class Stop(Hook):
    """Hook that ends the training after an iteration, like MMEngine's EarlyStoppingHook."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, *args, **kwargs):
        runner.train_loop.stop_training = runner.iter + 1 >= self.iteration


@pytest.mark.parametrize("save_last", [True, False])
def test_newest_file_remains_after_an_early_stop(tmp_path, monkeypatch, save_last):
    """The regular file of iteration 4 is older than that by time, of iteration 6."""
    whole = toy_runner(tmp_path / "whole", iterations=7)
    whole.train()
    hooks = [TimedCheckpointHook(minutes=2), Clock(monkeypatch), Stop(7)]
    checkpoint = dict(interval=4, save_last=save_last)
    runner = toy_runner(tmp_path / "run", iterations=12, hooks=hooks, checkpoint=checkpoint)
    runner.train()
    last = "iter_7.pth" if save_last else "timed_1.pth"
    found = torch.load(tmp_path / "run" / last, weights_only=False)
    assert found["meta"]["iter"] == (7 if save_last else 6)
    if save_last:
        expected = whole.model.weight.tolist()
        assert found["state_dict"]["weight"].tolist() == expected
        assert not list(tmp_path.glob("run/timed_*.pth"))


class KillAtTheEnd(Hook):
    """Hook that kills the run after its last save and before the files by time are removed."""

    priority = "HIGHEST"

    def after_train(self, runner):
        hook_of(runner).finish_saving()
        (Path(runner.work_dir) / "interrupted.pth").write_bytes(
            (Path(runner.work_dir) / "timed_0.pth").read_bytes()
        )
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("checkpoint", "regular", "is_end"),
    [
        (dict(interval=100), ["iter_12.pth"], True),
        (dict(interval=5, max_keep_ckpts=1, filename_tmpl="it_{:04d}.pth"), ["it_0012.pth"], True),
        (dict(interval=5, save_last=False), ["iter_10.pth", "iter_5.pth"], False),
    ],
)
def test_files_by_time_are_removed_by_a_resumed_run(tmp_path, checkpoint, regular, is_end):
    hooks = [TimedCheckpointHook(minutes=1e-9, max_share=0.999), KillAtTheEnd()]
    others = {"interrupted.pth", "timed_0.pth"}
    with pytest.raises(KeyboardInterrupt):
        toy_runner(tmp_path, iterations=12, hooks=hooks, checkpoint=checkpoint).train()
    assert others <= set(names(tmp_path))
    resumed(tmp_path, checkpoint).train()
    left = set(names(tmp_path))
    assert left == {*regular} if is_end else left >= {*regular, *others}
