import os
import signal

import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook
from tiny_run import toy_runner

from mim_plugins.cli import interruptible, user_errors, work_dir
from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE
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


class CtrlCWhileLoading(Hook):
    def after_load_checkpoint(self, runner, checkpoint):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("out_dir", [None, "run", "out"])
@pytest.mark.parametrize("hooks", [[CtrlCWhileLoading()], [CtrlC(2)]], ids=["loading", "training"])
def test_line_contains_the_newest_file_of_any_folder(tmp_path, capsys, out_dir, hooks):
    checkpoint = {} if out_dir is None else dict(out_dir=str(tmp_path / out_dir))
    toy_runner(tmp_path / "run", iterations=2, checkpoint=checkpoint).train()
    runner = toy_runner(tmp_path / "run", checkpoint=checkpoint, hooks=hooks, resume=True)
    with pytest.raises(SystemExit), interruptible(runner):
        runner.train()
    folder = tmp_path / ("out/run" if out_dir == "out" else "run")
    assert f"checkpoint is '{folder / 'iter_2.pth'}'" in capsys.readouterr().err


def test_line_without_a_checkpoint_hook_names_no_file(tmp_path, capsys):
    runner = toy_runner(tmp_path, hooks=[CtrlC(1)])
    runner._hooks = [hook for hook in runner.hooks if not isinstance(hook, CheckpointHook)]
    with pytest.raises(SystemExit), interruptible(runner):
        runner.train()
    assert "there is no complete checkpoint" in capsys.readouterr().err


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
