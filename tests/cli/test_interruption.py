import os
import signal

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_run import toy_runner

from mim_plugins.cli import interruptible, user_errors, work_dir
from mim_plugins.cli.reported_errors import TRACEBACK_VARIABLE
from mim_plugins.engine.hooks import PreemptionHook


class CtrlC(Hook):
    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    monkeypatch.delenv("RANK", raising=False)
    # background jobs of some shells ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(folder, iteration, hooks=(), traceback=False):
    runner = toy_runner(folder, hooks=hooks)
    runner.register_hook(CtrlC(iteration), priority="HIGHEST")
    cfg = Config(dict(work_dir=str(folder), launcher="none"))
    with work_dir.claim(cfg), user_errors(traceback), interruptible(runner, traceback):
        assert (folder / "run.lock").exists()
        runner.train()


@pytest.mark.parametrize(
    ("iteration", "newest"),
    [(2, "the newest complete checkpoint is '{}/iter_2.pth'"), (0, "there is no complete")],
)
@pytest.mark.parametrize("hooks", [[], [PreemptionHook]])
def test_ctrl_c_ends_a_run_with_one_line(tmp_path, capsys, iteration, newest, hooks):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    with pytest.raises(SystemExit) as stop:
        interrupt(tmp_path, iteration, [hook() for hook in hooks])
    assert stop.value.code == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert f"by Ctrl-C at iteration {iteration + 1}, which saves nothing" in line
    assert newest.format(tmp_path) in line
    assert "--resume continues" in line
    assert ("SIGTERM" in line) == bool(hooks)
    assert not (tmp_path / "run.lock").exists()
    assert signal.getsignal(signal.SIGINT) == handlers[0]
    for number, handler in zip((signal.SIGTERM, signal.SIGUSR1), handlers[1:], strict=True):
        signal.signal(number, handler)


def test_only_one_process_reports_the_interruption(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit) as stop:
        interrupt(tmp_path, 1)
    assert stop.value.code == 130
    assert capsys.readouterr().err == ""


def test_traceback_of_ctrl_c_is_shown_on_request(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, 1, traceback=True)
    assert not (tmp_path / "run.lock").exists()
