"""Lock files that are unreadable, removed, or of unknown origin."""

import math
import os
import time
from pathlib import Path

import pytest
from lock_files import FAST, dead_process, owner, write_lock

from mim_plugins.cli import WorkDirLock
from mim_plugins.errors import WorkDirError


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 1}'])
def test_unreadable_lock_becomes_stale_without_renewal(tmp_path, content):
    (tmp_path / "run.lock").write_text(content)
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()


def test_removed_lock_is_restored_but_a_foreign_one_is_kept(tmp_path):
    with WorkDirLock(tmp_path, **FAST):
        (tmp_path / "run.lock").unlink()
        until = time.monotonic() + 5
        while not (tmp_path / "run.lock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert owner(tmp_path)["pid"] == os.getpid()
        (tmp_path / "run.lock").write_text("another's")
        time.sleep(0.3)
    assert (tmp_path / "run.lock").read_text() == "another's"


def test_removed_work_folder_raises_no_error(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with WorkDirLock(folder, **FAST):
        Path(folder / "run.lock").unlink()
        folder.rmdir()
        time.sleep(0.3)
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["folder", "dangling link", "link", "FIFO"])
def test_irregular_lock_file_is_reported_in_one_line(tmp_path, kind):
    file = tmp_path / "run.lock"
    (tmp_path / "other").write_text("{}")
    make = {
        "folder": file.mkdir,
        "dangling link": lambda: file.symlink_to("nowhere"),
        "link": lambda: file.symlink_to("other"),
        "FIFO": lambda: os.mkfifo(file),
    }
    make[kind]()
    with pytest.raises(WorkDirError, match=r"run\.lock' is not a regular file.*remove"):
        WorkDirLock(tmp_path, **FAST).__enter__()
    assert file.is_symlink() or file.exists()


def test_lock_without_read_permission_is_reported_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "run.lock").write_text("{}")

    def refuse(path, *args):
        raise PermissionError(13, "Permission denied")

    lock = WorkDirLock(tmp_path, **FAST)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WorkDirError, match=r"run\.lock' cannot be read \(Permission denied\)"):
        lock.__enter__()


def test_deeply_nested_lock_becomes_stale_without_renewal(tmp_path):
    (tmp_path / "run.lock").write_text("[" * 60000)
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()


@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("nowhere")],
    ids=["folder", "pipe", "link"],
)
def test_takeover_file_that_no_run_made_is_named(tmp_path, make):
    write_lock(tmp_path, pid=dead_process())
    make(tmp_path / "run.lock.takeover")
    refused = pytest.raises(WorkDirError, match=r"run\.lock\.takeover' is not a regular file")
    with refused, WorkDirLock(tmp_path, **FAST):
        pass


def test_takeover_file_from_the_future_is_removed(tmp_path):
    write_lock(tmp_path, pid=dead_process())
    claim = tmp_path / "run.lock.takeover"
    claim.touch()
    os.utime(claim, (time.time() + 1e6,) * 2)
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()


@pytest.mark.parametrize("pid", [math.inf, math.nan, 1.5, -1, 10**30, True, [1]])
def test_any_number_in_a_lock_is_read(tmp_path, pid):
    write_lock(tmp_path, pid=pid, process_start="1")
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()
