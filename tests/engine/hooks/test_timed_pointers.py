"""The file last_checkpoint in runs that also save by time."""

from pathlib import Path

import pytest
from mmengine.fileio import FileClient, LocalBackend, register_backend
from mmengine.hooks import Hook
from timed_runs import Clock, Crash, weights_only
from tiny_run import toy_runner

from mim_plugins.engine.hooks import TimedCheckpointHook
from mim_plugins.errors import CheckpointError

pytestmark = pytest.mark.usefixtures("clock_read_early")


class Bucket(LocalBackend):
    """Storage of addresses such as bucket://, in a folder."""

    root = None

    def _local(self, path):
        return str(path).replace("bucket://", f"{self.root}/")

    def put(self, obj, filepath):
        super().put(obj, self._local(filepath))

    def isfile(self, filepath):
        return super().isfile(self._local(filepath))

    def remove(self, filepath):
        super().remove(self._local(filepath))


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setattr(Bucket, "root", tmp_path / "bucket")
    register_backend("bucket", Bucket, force=True, prefixes="bucket")
    FileClient.register_backend("bucket", Bucket, force=True, prefixes="bucket")


class Pointer(Hook):
    """Hook that records the name in last_checkpoint after each iteration."""

    priority = 98

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, *args, **kwargs):
        path = Path(runner.work_dir, "last_checkpoint")
        self.seen.append(path.read_text().rpartition("/")[2] if path.exists() else None)


@pytest.mark.parametrize("out_dir", [None, "bucket://x"])
def test_pointer_names_a_file_that_the_run_resumes_from(tmp_path, monkeypatch, bucket, out_dir):
    """Files of weights are newer than those by time, but MMEngine would follow the pointer."""
    pointer = Pointer()
    hooks = [TimedCheckpointHook(minutes=3), Clock(monkeypatch), pointer]
    checkpoint = dict(
        save_optimizer=False, out_dir=out_dir, background=False, max_keep_ckpts=2, interval=2
    )
    toy_runner(tmp_path / "run", iterations=7, hooks=hooks, checkpoint=checkpoint).train()
    last = "timed_0.pth" if out_dir else "timed_1.pth"
    expected = [None, "iter_2.pth", *["timed_0.pth"] * 3, last, last]
    assert pointer.seen == expected
    assert (tmp_path / "run/last_checkpoint").read_text().endswith("/iter_7.pth")
    assert not list(tmp_path.rglob("iter_2.pth"))


def test_resumed_run_keeps_the_pointer_until_the_next_file(tmp_path, monkeypatch, caplog):
    checkpoint = dict(save_optimizer=False, background=False)
    hooks = [TimedCheckpointHook(minutes=3), Clock(monkeypatch), Crash(5)]
    with pytest.raises(KeyboardInterrupt):
        toy_runner(tmp_path, iterations=9, hooks=hooks, checkpoint=checkpoint).train()
    pointer = Pointer()
    hooks = [TimedCheckpointHook(minutes=3), Clock(monkeypatch), pointer]
    rest = toy_runner(tmp_path, iterations=9, hooks=hooks, checkpoint=checkpoint, resume=True)
    rest.logger.addHandler(caplog.handler)
    rest.train()
    assert pointer.seen == [*["timed_0.pth"] * 2, *["timed_1.pth"] * 3, "timed_0.pth"]
    assert "last_checkpoint names" not in caplog.text
    with pytest.raises(CheckpointError, match=r"iter_9\.pth: named by .*contains no optimizer"):
        toy_runner(tmp_path, iterations=10, checkpoint=checkpoint, resume=True).train()


def test_pointer_names_files_that_lack_only_the_schedulers(tmp_path):
    pointer, checkpoint = Pointer(), dict(save_param_scheduler=False, background=False)
    for iterations in (2, 4):
        settings = dict(iterations=iterations, hooks=[pointer], resume=iterations > 2)
        toy_runner(tmp_path, checkpoint=checkpoint, **settings).train()
    assert pointer.seen == [f"iter_{number}.pth" for number in (1, 2, 3, 4)]


def test_files_of_a_second_hook_do_not_take_over_the_pointer(tmp_path):
    pointer = Pointer()
    hooks = [weights_only(tmp_path), pointer]
    checkpoint = dict(interval=3, background=False)
    toy_runner(tmp_path, iterations=7, hooks=hooks, checkpoint=checkpoint).train()
    assert pointer.seen[2:6] == ["iter_3.pth"] * 3 + ["iter_6.pth"]
    assert (tmp_path / "last_checkpoint").read_text().endswith("/iter_7.pth")
