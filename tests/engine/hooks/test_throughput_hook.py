from types import SimpleNamespace

import pytest
from mmengine.hooks import IterTimerHook, LoggerHook
from mmengine.logging import MessageHub
from mmengine.runner import get_priority

from mim_plugins.engine.hooks import ThroughputHook


def make_runner(batch_size, times):
    hub = MessageHub("throughput")
    for seconds in times:
        hub.update_scalar("train/time", seconds)
    return SimpleNamespace(message_hub=hub, train_dataloader=SimpleNamespace(batch_size=batch_size))


def test_throughput_is_images_over_the_mean_window_time():
    runner = make_runner(8, [100.0, 1.0, 3.0])
    ThroughputHook(window=2).after_train_iter(runner, 0)
    assert runner.message_hub.get_scalar("train/images_per_s").current() == pytest.approx(4.0)


def test_batch_size_comes_from_the_batch_with_a_batch_sampler():
    runner = make_runner(None, [0.5])
    ThroughputHook().after_train_iter(runner, 0, dict(data_samples=[None] * 3))
    assert runner.message_hub.get_scalar("train/images_per_s").current() == pytest.approx(6.0)


def test_batch_without_images_has_no_throughput():
    runner = make_runner(None, [0.5])
    for batch in (None, {}, dict(name="a")):
        ThroughputHook().after_train_iter(runner, 0, batch)
    assert "train/images_per_s" not in runner.message_hub.log_scalars


def test_images_of_all_processes_count(monkeypatch):
    monkeypatch.setattr("mim_plugins.engine.hooks.throughput_hook.get_world_size", lambda: 4)
    runner = make_runner(8, [2.0])
    ThroughputHook().after_train_iter(runner, 0)
    assert runner.message_hub.get_scalar("train/images_per_s").current() == pytest.approx(16.0)


def test_no_throughput_without_a_timer():
    runner = make_runner(8, [])
    ThroughputHook().after_train_iter(runner, 0)
    assert not runner.message_hub.log_scalars


def test_hook_runs_between_timer_and_log():
    priorities = [get_priority(h.priority) for h in (IterTimerHook, ThroughputHook, LoggerHook)]
    assert priorities == sorted(set(priorities))


def test_invalid_window_is_rejected():
    with pytest.raises(ValueError, match="window=0 must be at least 1"):
        ThroughputHook(window=0)
