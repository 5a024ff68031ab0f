import json
import os

import pytest
from mmengine.hooks import Hook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import CorruptImageHook, StatusHook
from mim_plugins.engine.hooks import status_hook as module


def read(folder):
    return json.loads((folder / "status.json").read_text())


class See(Hook):
    priority = "LOWEST"

    def __init__(self, folder):
        self.folder, self.seen = folder, []

    def after_train_iter(self, runner, *args, **kwargs):
        self.seen.append(read(self.folder))


def test_status_follows_the_run_and_ends_complete(tmp_path):
    see = See(tmp_path)
    hooks = [StatusHook(seconds=0), CorruptImageHook(), see]
    toy_runner(tmp_path, iterations=3, hooks=hooks).train()
    assert [status["iteration"] for status in see.seen] == [1, 2, 3]
    assert {status["state"] for status in see.seen} == {"running"}
    assert see.seen[0]["losses"]["loss"] > see.seen[2]["losses"]["loss"] > 0
    assert see.seen[1]["last_checkpoint"]["path"].endswith("iter_2.pth")

    last = read(tmp_path)
    assert (last["state"], last["iteration"], last["max_iterations"]) == ("complete", 3, 3)
    assert (last["pid"], last["corrupt_images"], last["restarts"]) == (os.getpid(), 0, [])
    assert not list(tmp_path.glob("status.json.*"))


def test_writes_are_limited_by_time(tmp_path, monkeypatch):
    writes = []
    monkeypatch.setattr(
        module.os, "replace", lambda *a, old=os.replace: (writes.append(a), old(*a))
    )
    toy_runner(tmp_path, hooks=[StatusHook(seconds=1000)], checkpoint=dict(interval=100)).train()
    assert sum(str(target).endswith("status.json") for _, target in writes) == 2  # start and end


def test_negative_time_is_rejected():
    with pytest.raises(ValueError, match="seconds=-1 must be at least 0"):
        StatusHook(seconds=-1)
