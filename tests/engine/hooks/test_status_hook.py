import json
import os
import re
import socket
import sys
import urllib.request

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
    toy_runner(tmp_path, iterations=3, hooks=hooks, checkpoint=dict(background=False)).train()
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


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_port_is_rejected(port):
    with pytest.raises(ValueError, match=f"prometheus_port={port} must be between 0 and 65535"):
        StatusHook(prometheus_port=port)


class Scrape(Hook):
    priority = "LOWEST"

    def __init__(self, status):
        self.status, self.pages = status, []

    def after_train_iter(self, runner, *args, **kwargs):
        address = f"http://127.0.0.1:{self.status._server.port}/metrics"
        with urllib.request.urlopen(address) as page:
            self.pages.append(page.read().decode())


def test_prometheus_reads_the_run_until_it_ends(tmp_path):
    pytest.importorskip("prometheus_client")
    status = StatusHook(seconds=0, prometheus_port=0)
    scrape = Scrape(status)
    toy_runner(tmp_path, iterations=3, hooks=[status, scrape]).train()
    values = [re.findall(r"mim_plugins_iteration{.*} (\S+)", page) for page in scrape.pages]
    assert values == [["1.0"], ["2.0"], ["3.0"]]
    page = scrape.pages[-1]
    assert re.search(r'mim_plugins_loss{term="loss",work_dir=".*"} [\d.e-]+', page)
    assert "mim_plugins_corrupt_images" in page
    assert "NaN" in page  # the run counts no corrupt images
    assert status._server is None


def test_a_taken_port_is_tried_again_and_does_not_end_the_run(tmp_path):
    """After a restart, workers of the former process hold the port for some seconds."""
    pytest.importorskip("prometheus_client")
    served = []

    class Free(Hook):
        priority = "LOWEST"

        def after_train_iter(self, runner, *args, **kwargs):
            served.append(status._server is not None)
            taken.close()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status = StatusHook(seconds=0, prometheus_port=taken.getsockname()[1])
        toy_runner(tmp_path, iterations=2, hooks=[status, Free()]).train()
    assert served == [False, True]
    assert read(tmp_path)["state"] == "complete"


def test_a_missing_package_is_named_before_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    runner = toy_runner(tmp_path, hooks=[StatusHook(prometheus_port=0)])
    with pytest.raises(ImportError, match=r"pip install 'mim_plugins\[monitoring\]'"):
        runner.train()
    assert runner.iter == 0
