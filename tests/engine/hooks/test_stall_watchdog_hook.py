import errno
import json
import logging
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from tiny_run import ToyModel, toy_runner
from torch._dynamo.utils import counters
from two_processes import DISTRIBUTED, in_two_processes
from validated_run import FINITE, LOSSES, Classifier, Loss, Seen

from mim_plugins.engine.hooks import StallWatchdogHook


def hang_in_forward(rank, folder, hanging):
    calls = []

    def loss(weight, inputs):
        calls.append(1)
        if rank == hanging and len(calls) == 3:
            time.sleep(60)
        return (weight - inputs.mean()).square().sum()

    runner = toy_runner(
        folder, ToyModel(loss), iterations=5, hooks=[StallWatchdogHook(timeout=2)], **DISTRIBUTED
    )
    runner.logger.error = lambda text: (folder / f"error_{rank}").write_text(text)
    runner.train()


def test_hanging_process_is_reported_and_all_processes_end(tmp_path):
    started = time.monotonic()
    codes, _ = in_two_processes(hang_in_forward, tmp_path, 1)
    assert codes == [1, 1]
    assert time.monotonic() - started < 50
    for rank in range(2):
        text = (tmp_path / f"error_{rank}").read_text()
        assert "rank 1 stopped at iteration 3, forward pass" in text


def make(folder, ranks, progress):
    hook = StallWatchdogHook()
    hook._folder = folder
    hook._runner = SimpleNamespace(world_size=ranks)
    for rank, reached in progress.items():
        (folder / f"rank_{rank}.json").write_text(json.dumps(reached))
    return hook


@pytest.mark.parametrize(
    ("progress", "stalled", "text"),
    [
        ({0: (4, 2, 0), 1: (4, 0, 0), 2: (4, 2, 0)}, [1], "rank 1 stopped at iteration 5,"
         " loading data"),
        ({0: (4, 2, 0), 1: (5, 0, 0), 2: (4, 2, 0)}, [0, 2], "rank 0, 2 stopped"),
        ({0: (4, 2, 0), 1: (4, 2, 0), 2: (4, 2, 0)}, [0, 1, 2], "all ranks stopped at iteration 5"),
        ({0: (4, 3, 7), 1: (4, 3, 6)}, [1], "no heartbeat of rank 2"),
    ],
)  # fmt: skip
def test_ranks_furthest_behind_are_reported(tmp_path, progress, stalled, text):
    ranks, report = make(tmp_path, 3, progress)._find_stalled()
    assert ranks == stalled
    assert text in report


def test_a_compiled_model_is_not_divided_by_the_clock():
    torch._dynamo.reset()
    counters.clear()
    model, hook = ToyModel(), StallWatchdogHook()
    hook._runner = SimpleNamespace(model=model, iter=0)
    model.register_forward_hook(hook._after_forward)
    model.compile(backend="eager", dynamic=False)
    for hook._runner.iter in range(3):
        model(torch.rand(2, 3))
        assert hook._progress == (hook._runner.iter, 2, 0)
    assert not any("monotonic" in reason for reason in counters["graph_break"])


def test_single_process_is_not_monitored(tmp_path):
    toy_runner(tmp_path, hooks=[StallWatchdogHook()]).train()
    assert not (tmp_path / "heartbeats").exists()


def test_healthy_processes_exit_normally(tmp_path):
    codes, _ = in_two_processes(hang_in_forward, tmp_path, None)
    assert codes == [0, 0]
    assert not list(tmp_path.glob("error_*"))


class Busy(Hook):
    """Hook that exceeds the time limit before training and after an iteration."""

    def before_train(self, runner):
        time.sleep(3)

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 1:
            (watchdog,) = (hook for hook in runner.hooks if isinstance(hook, StallWatchdogHook))
            for done in range(6):
                watchdog.heartbeat(done)
                time.sleep(0.5)


def train_with_pauses(rank, folder):
    hooks = [StallWatchdogHook(timeout=2), Busy()]
    toy_runner(folder, hooks=hooks, **DISTRIBUTED).train()


def test_setup_and_evaluations_with_heartbeats_may_take_longer(tmp_path):
    codes, _ = in_two_processes(train_with_pauses, tmp_path)
    assert codes == [0, 0]


@pytest.mark.parametrize("content", ["", "[4, 2", None])
def test_unreadable_heartbeats_are_ignored(tmp_path, content):
    hook = make(tmp_path, 3, {0: (4, 2, 0), 1: (4, 0, 0)})
    file = tmp_path / "rank_2.json"
    file.mkdir() if content is None else file.write_text(content)
    ranks, report = hook._find_stalled()
    assert ranks == [1]
    assert "no heartbeat of rank 2" in report


def test_no_rank_is_reported_without_heartbeats(tmp_path):
    ranks, report = make(tmp_path, 2, {})._find_stalled()
    assert ranks == []
    assert f"and no heartbeat in {tmp_path}" in report


def test_monitoring_continues_if_progress_cannot_be_written(tmp_path, monkeypatch, caplog):
    hook = make(tmp_path, 2, {})
    hook._runner.rank = 0
    hook._runner.logger = logging.getLogger("watching")
    hook._period = 0.01
    attempts = []

    def publish():
        attempts.append(1)
        if len(attempts) == 3:
            hook._stop.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hook, "_publish", publish)
    hook._stop = threading.Event()
    hook._watch(hook._stop)
    assert len(attempts) == 3
    assert caplog.text.count(f"progress in '{tmp_path}' could not be written") == 1


@pytest.mark.parametrize("first", ["before_train_epoch", "before_val"])
def test_monitoring_starts_with_an_epoch_or_a_validation(tmp_path, first):
    hook = StallWatchdogHook(timeout=60)
    runner = toy_runner(tmp_path, hooks=[hook])
    runner._world_size = 2
    hook.before_train(runner)
    assert not hook._thread.is_alive()
    getattr(hook, first)(runner)
    assert hook._thread.is_alive()
    hook.after_train(runner)
    hook._thread.join()
    hook.before_val(runner)  # of an evaluation after the training
    assert not hook._thread.is_alive()


def test_past_epochs_of_a_sampler_restart_the_time_limit(tmp_path):
    hook = StallWatchdogHook(timeout=60)
    runner = toy_runner(tmp_path, hooks=[hook])
    runner._world_size = 2
    hook.before_train(runner)
    hook._since = 0
    runner.train_dataloader.position.heartbeat()
    assert hook._since > 0
    hook.after_train(runner)


def test_evaluation_without_training_is_not_monitored(tmp_path):
    seen = Seen(None)
    runner = toy_runner(
        tmp_path,
        Classifier(),
        hooks=[StallWatchdogHook()],
        val_dataloader=FINITE,
        val_cfg=dict(),
        val_evaluator=Evaluator(Loss(seen)),
    )
    assert runner.val() == {"val/loss": LOSSES[-1]}
    assert not (tmp_path / "heartbeats").exists()


def train_without_heartbeats(rank, folder):
    runner = toy_runner(folder, hooks=[StallWatchdogHook(timeout=2)], **DISTRIBUTED)
    if rank == 0:
        (folder / "heartbeats").write_text("in the way")
    runner.train()
    return runner.iter


def test_run_completes_without_heartbeats(tmp_path):
    assert in_two_processes(train_without_heartbeats, tmp_path) == ([0, 0], {0: 4, 1: 4})


def test_heartbeats_recreate_a_removed_folder(tmp_path):
    hook = make(tmp_path / "run/heartbeats", 2, {})
    hook._runner.rank = 0
    hook._publish()
    assert json.loads((tmp_path / "run/heartbeats/rank_0.json").read_text()) == [0, 0, 0]


def test_timeout_must_be_positive():
    with pytest.raises(ValueError, match="timeout=0"):
        StallWatchdogHook(timeout=0)
