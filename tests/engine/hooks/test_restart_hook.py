import json
import time

import pytest
from mmengine.hooks import Hook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import RestartHook
from mim_plugins.engine.hooks.restart_hook import CAUSE_VARIABLE, read_restarts


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    """Train in the next attempt of a launch, after a cause of restart."""

    def train(number, cause=None, launch="a", more=(), **arguments):
        folder = tmp_path / f"attempt_{number}/0"
        folder.mkdir(parents=True)
        monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(folder / "error.json"))
        monkeypatch.setenv(CAUSE_VARIABLE, json.dumps(cause))
        toy_runner(tmp_path / "run", hooks=[RestartHook(launch), *more], **arguments).train()
        return (folder / "progress").read_text()

    return train


def test_restart_is_one_line_with_cause_and_lost_iterations(tmp_path, attempt):
    assert attempt(0, iterations=2) == "2 2"
    first = read_restarts(tmp_path / "run")
    assert first == dict(launch="a", global_batch=4, restarts=[])

    cause = dict(text="process 1 was ended by SIGKILL", is_consequence=False, iteration=[10, 8])
    assert attempt(1, cause | dict(time=time.time() - 7), iterations=4, resume=True) == "4 4"
    again = read_restarts(tmp_path / "run")
    (line,) = again["restarts"]
    for part in (
        "restart 1 with 1 processes: process 1 was ended by SIGKILL",
        "continued after iteration 2, 3 iterations lost",
        " s after the failure",
    ):
        assert part in line
    assert (again["launch"], again["global_batch"]) == ("a", 4)

    unknown = cause | dict(time=time.time(), iteration=None)
    attempt(2, unknown, iterations=5, resume=True)
    lines = read_restarts(tmp_path / "run")["restarts"]
    assert lines[0] == line
    assert lines[1].startswith("restart 2")
    assert "lost" not in lines[1]


def test_restarts_of_an_earlier_launch_do_not_count(tmp_path, attempt):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/restarts.json").write_text('{"launch": "b", "restarts": ["restart 1"]}')
    cause = dict(text="killed", is_consequence=False, iteration=None, time=time.time())
    attempt(0, cause, iterations=1)
    (line,) = read_restarts(tmp_path / "run")["restarts"]
    assert line.startswith("restart 1 with 1 processes: killed")


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_missing_or_corrupt_record_is_empty(tmp_path, content):
    if content:
        (tmp_path / "restarts.json").write_text(content)
    assert read_restarts(tmp_path) == {}


def test_launch_is_recorded_only_after_its_first_iteration(tmp_path, attempt):
    class Stop(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(0, more=[Stop()])
    assert read_restarts(tmp_path / "run") == {}
