from types import SimpleNamespace

import pytest

from mim_plugins.engine.hooks.interval_hook import IntervalHook


class Recorder(IntervalHook):
    """Hook that stores the steps at which it acts."""

    def __init__(self, interval, by_epoch):
        super().__init__(interval, by_epoch)
        self.steps = []

    def act(self, runner, step):
        self.steps.append(step)


@pytest.mark.parametrize(
    ("by_epoch", "interval", "expected"),
    [(True, 1, [3, 6, 9, 12]), (True, 2, [6, 12]), (False, 5, [5, 10]), (False, 20, [])],
)
def test_hooks_act_after_each_interval(by_epoch, interval, expected):
    hook = Recorder(interval, by_epoch)
    runner = SimpleNamespace(epoch=0, iter=0)
    for runner.epoch in range(4):  # of three iterations
        for batch in range(3):
            hook.after_train_iter(runner, batch)
            runner.iter += 1
        hook.after_train_epoch(runner)
    assert hook.steps == expected


def test_intervals_below_one_are_refused():
    with pytest.raises(ValueError, match=r"Recorder: interval=0 must be at least 1"):
        Recorder(0, True)
