from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer
from mmengine.runner import LogProcessor
from tiny_run import run, same, tiny_config

from mim_plugins.engine.loops import history_length as module
from mim_plugins.engine.loops.history_length import history_length, limit_histories


def runner_of(buffers=(), validation=None, **processor):
    loop = None if validation is None else SimpleNamespace(dataloader=range(validation))
    return SimpleNamespace(
        log_processor=LogProcessor(**processor),
        val_loop=loop,
        message_hub=SimpleNamespace(log_scalars=dict(enumerate(buffers))),
    )


def custom(window):
    return dict(
        custom_cfg=[dict(data_src="loss", log_name="a", method_name="mean", window_size=window)]
    )


@pytest.mark.parametrize(
    ("iterations", "settings", "length"),
    [
        (5, {}, 10_000),
        (20_000, {}, 20_000),
        (5, dict(validation=30_000), 30_000),
        (5, dict(window_size=40_000), 40_000),
        (5, custom(50_000), 50_000),
        (60_000, custom("epoch"), 60_000),
        (5, custom("global"), 10**6),
        (10**7, {}, 10**6),
    ],
)
def test_length_covers_all_windows_of_the_log(iterations, settings, length):
    assert history_length(runner_of(**settings), iterations) == length


def test_longer_history_is_cut_to_its_last_values():
    values = np.arange(50.0)
    buffer, whole = (HistoryBuffer(values, np.ones(50)) for _ in range(2))
    limit_histories(runner_of([buffer]), 10)
    for each in (buffer, whole):
        each.update(7.5)
    assert len(buffer.data[0]) == len(buffer.data[1]) == 10
    assert [buffer.mean(10), buffer.current()] == [whole.mean(10), whole.current()]


@pytest.mark.parametrize("by_epoch", [True, False])
def test_histories_of_a_run_are_limited(folder, monkeypatch, by_epoch):
    lengths = {}

    def record(runner, length):
        limit_histories(runner, length)
        lengths[runner.iter] = {len(b.data[0]) for b in runner.message_hub.log_scalars.values()}

    monkeypatch.setattr(module, "_LEAST", 3)
    for loop in ("epoch", "iter"):
        monkeypatch.setattr(f"{module.__package__}.resumable_{loop}_loop.limit_histories", record)
    short = dict(log_processor=dict(window_size=2))
    weights, _ = run(tiny_config(folder, "limited", by_epoch=by_epoch, **short))
    assert max(lengths[5]) == 3
    monkeypatch.undo()
    assert same(weights, run(tiny_config(folder, "whole", by_epoch=by_epoch))[0])
