import os
import signal

import pytest
from mmengine.hooks import Hook
from toy_run import toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine import REQUEUE_EXIT_CODE, PreemptionHook


class Signal(Hook):
    def __init__(self, iteration, number):
        self.iteration, self.number = iteration, number

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_saves_exits_and_the_run_goes_on(tmp_path, number):
    whole = toy_runner(tmp_path / "whole", iterations=4)
    whole.train()

    checkpoint = dict(interval=3)
    handler = signal.getsignal(number)
    runner = toy_runner(tmp_path / "run", hooks=[PreemptionHook()], checkpoint=checkpoint)
    runner.register_hook(Signal(1, number))
    with pytest.raises(SystemExit) as stopped:
        runner.train()
    assert stopped.value.code == REQUEUE_EXIT_CODE == 85
    assert runner.iter == 1  # the second iteration was finished
    assert (tmp_path / "run/interrupted.pth").is_file()
    assert (tmp_path / "run/last_checkpoint").read_text().endswith("interrupted.pth")

    rest = toy_runner(tmp_path / "run", checkpoint=checkpoint, resume=True)
    seen = []
    rest.register_hook(type("See", (Hook,), dict(
        before_train_iter=lambda self, runner, *a, **k: seen.append(runner.iter)))())  # fmt: skip
    rest.train()
    assert seen == [2, 3]
    assert rest.model.weight.tolist() == whole.model.weight.tolist()
    assert not (tmp_path / "run/interrupted.pth").exists()
    signal.signal(number, handler)


def test_gradients_that_wait_for_an_update_are_not_lost(tmp_path):
    runner = toy_runner(tmp_path, hooks=[PreemptionHook()], checkpoint=dict(interval=100))
    runner.optim_wrapper["accumulative_counts"] = 2
    runner.register_hook(Signal(0, signal.SIGTERM))
    with pytest.raises(SystemExit):
        runner.train()
    assert runner.iter == 1


def test_signals_are_given_back(tmp_path):
    handler = signal.getsignal(signal.SIGTERM)
    toy_runner(tmp_path, hooks=[PreemptionHook()]).train()
    assert signal.getsignal(signal.SIGTERM) == handler


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="interval=0"):
        PreemptionHook(interval=0)
    with pytest.raises(ValueError, match="SIGNAL"):
        PreemptionHook(signals=("SIGNAL",))
    runner = toy_runner(tmp_path, hooks=[PreemptionHook()], checkpoint=dict(type="CheckpointHook"))
    with pytest.raises(ValueError, match="AtomicCheckpointHook"):
        runner.train()


def train_and_signal_one(rank, folder):
    runner = toy_runner(
        folder, hooks=[PreemptionHook(interval=2)], checkpoint=dict(interval=100), **DISTRIBUTED
    )
    if rank == 1:
        runner.register_hook(Signal(0, signal.SIGUSR1))
    runner.train()


def test_signal_to_one_process_stops_both(tmp_path):
    codes, _ = in_two_processes(train_and_signal_one, tmp_path)
    assert codes == [85, 85]
    assert [path.name for path in tmp_path.glob("*.pth")] == ["interrupted.pth"]
