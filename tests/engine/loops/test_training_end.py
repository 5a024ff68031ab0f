import os
import signal
import threading

import pytest
from mmengine.hooks import Hook
from tiny_run import ToyImages, toy_runner

from mim_plugins.engine.hooks import PreemptionHook
from mim_plugins.engine.loops.training_end import at_end_of_training, end_training

EPOCHS = dict(
    train_cfg=dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2),
    train_dataloader=dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler")),
)


class Fail(Hook):
    """Hook that raises an error in the given method."""

    def __init__(self, method, error):
        def fail(*args, **kwargs):
            raise error

        setattr(self, method, fail)


@pytest.fixture
def handlers():
    def current():
        return [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGUSR1)]

    before = current()
    yield current
    for number, handler in zip((signal.SIGTERM, signal.SIGUSR1), before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("error", [RuntimeError(), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("method", ["before_train", "after_train_iter", "after_train"])
@pytest.mark.parametrize("loop", [{}, EPOCHS], ids=["iterations", "epochs"])
def test_handlers_are_restored_after_errors(tmp_path, handlers, error, method, loop):
    before = handlers()
    runner = toy_runner(tmp_path, hooks=[PreemptionHook()], **loop)
    runner.register_hook(Fail(method, error), priority="LOWEST")
    with pytest.raises(type(error)):
        runner.train()
    assert handlers() == before


def test_saved_run_is_not_ended_by_a_second_signal(tmp_path, handlers):
    """Launchers send further signals while the processes of a saved run exit."""

    class Signal(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            os.kill(os.getpid(), signal.SIGTERM)

    runner = toy_runner(tmp_path, hooks=[PreemptionHook(), Signal()])
    with pytest.raises(SystemExit):
        runner.train()
    os.kill(os.getpid(), signal.SIGTERM)
    assert handlers()[0] != signal.SIG_DFL


def test_handler_of_another_language_is_replaced_by_the_default(tmp_path, handlers):
    """Python returns None for a handler that it has not set."""
    original = signal.signal
    runner = toy_runner(tmp_path, iterations=1, hooks=[PreemptionHook()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signal, "signal", lambda *args: original(*args) and None)
        runner.train()
    assert handlers() == [signal.SIG_DFL] * 2


@pytest.mark.parametrize("loop", [{}, EPOCHS], ids=["iterations", "epochs"])
def test_run_in_another_thread_trains_with_a_warning(tmp_path, handlers, caplog, loop):
    before, weights = handlers(), []

    def train():
        runner = toy_runner(tmp_path, hooks=[PreemptionHook()], **loop)
        runner.logger.addHandler(caplog.handler)
        weights.append(runner.train().weight)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert len(weights) == 1
    assert caplog.text.count("trains in another thread than the main one") == 1
    assert handlers() == before


def test_run_in_another_thread_stops_with_the_others(tmp_path, monkeypatch):
    """Another process has received the signal."""
    monkeypatch.setattr(PreemptionHook, "_anyone_received", lambda hook, runner: True)
    codes = []

    def train():
        try:
            toy_runner(tmp_path, hooks=[PreemptionHook()]).train()
        except SystemExit as stop:
            codes.append(stop.code)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert codes == [85]


def test_actions_run_once_and_in_reverse_order(tmp_path):
    runner, done = toy_runner(tmp_path), []
    for number in range(3):
        at_end_of_training(runner, lambda number=number: done.append(number))
    end_training(runner)
    end_training(runner)
    assert done == [2, 1, 0]
