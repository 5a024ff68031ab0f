import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mim_plugins.cli import WorkDirLock
from mim_plugins.cli import work_dir_lock as module
from mim_plugins.errors import WorkDirError

FAST = dict(interval=0.1, timeout=1.0)


def owner(folder):
    return json.loads((folder / "run.lock").read_text())


def write_lock(folder, age=0.0, **changes):
    """Write a lock like that of another process."""
    with WorkDirLock(folder):
        content = owner(folder)
    file = folder / "run.lock"
    file.write_text(json.dumps(content | dict(token="another") | changes))
    os.utime(file, (time.time() - age,) * 2)


def dead_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


@pytest.fixture
def elsewhere(monkeypatch):
    """Make new locks look like those of another machine."""
    monkeypatch.setattr(module, "machine_id", lambda: "another boot")


def test_only_one_run_holds_the_lock_and_its_owner_is_reported(tmp_path):
    with WorkDirLock(tmp_path):
        found = owner(tmp_path)
        with pytest.raises(WorkDirError) as refused, WorkDirLock(tmp_path):
            pass
        assert owner(tmp_path) == found
    for part in (str(tmp_path), str(os.getpid()), found["host"], found["started"], "--work-dir"):
        assert part in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    with WorkDirLock(tmp_path):
        assert owner(tmp_path)["token"] != found["token"]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_lock_is_released_after_an_error(tmp_path, error):
    with pytest.raises(error), WorkDirLock(tmp_path):
        raise error
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from mim_plugins.cli import WorkDirLock
with WorkDirLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_of_a_killed_local_process_is_taken_over(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(WorkDirError, match=f"process {process.pid} on host"),
            WorkDirLock(tmp_path),
        ):
            pass
        process.kill()
        started = time.monotonic()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie has ended as well
        with WorkDirLock(tmp_path):
            assert owner(tmp_path)["pid"] == os.getpid()
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "changes",
    [
        dict(pid=dead_process()),
        dict(process_start="1"),  # the PID now belongs to another process
        dict(pid="no number"),
        dict(pid=None),
    ],
    ids=["ended", "reused", "text", "none"],
)
def test_dead_process_on_this_machine_is_detected_at_once(tmp_path, changes):
    write_lock(tmp_path, **changes)
    started = time.monotonic()
    with WorkDirLock(tmp_path):
        assert owner(tmp_path)["pid"] == os.getpid()
    assert time.monotonic() - started < 5


def test_a_patient_run_waits_for_the_end_of_the_other_one(tmp_path):
    other = WorkDirLock(tmp_path)
    other.__enter__()
    threading.Timer(0.3, other.__exit__, (None, None, None)).start()
    with WorkDirLock(tmp_path, **FAST, patience=10):
        with pytest.raises(WorkDirError), WorkDirLock(tmp_path, **FAST, patience=0.1):
            pass
        assert owner(tmp_path)["token"] != other._owner["token"]


def test_stale_lock_of_another_machine_is_taken_over(tmp_path, elsewhere):
    write_lock(tmp_path)
    started = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "machine_id", lambda: "this boot")
        with WorkDirLock(tmp_path, **FAST):
            assert owner(tmp_path)["machine"] == "this boot"
    assert 0.5 < time.monotonic() - started < 10


def test_old_lock_of_another_machine_is_taken_over_soon(tmp_path, elsewhere):
    write_lock(tmp_path, age=3600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "machine_id", lambda: "this boot")
        started = time.monotonic()
        with WorkDirLock(tmp_path, interval=0.1, timeout=60):
            pass
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("skew", [-7200, 0, 7200])
def test_renewed_lock_is_alive_despite_clock_skew(tmp_path, elsewhere, monkeypatch, skew):
    utime = os.utime
    monkeypatch.setattr(os, "utime", lambda path: utime(path, (time.time() + skew,) * 2))
    with WorkDirLock(tmp_path, **FAST) as held:
        time.sleep(0.3)
        monkeypatch.setattr(module, "machine_id", lambda: "this boot")
        with pytest.raises(WorkDirError), WorkDirLock(tmp_path, **FAST):
            pass
        assert owner(tmp_path)["token"] == held._owner["token"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 1}'])
def test_unreadable_lock_becomes_stale_without_renewal(tmp_path, content):
    (tmp_path / "run.lock").write_text(content)
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()


def test_only_one_of_many_takes_over_a_stale_lock(tmp_path):
    for _ in range(10):
        write_lock(tmp_path, pid=DEAD)
        outcomes = []
        barrier, done = threading.Barrier(8), threading.Event()

        def take(barrier=barrier, done=done, outcomes=outcomes):
            lock = WorkDirLock(tmp_path)
            barrier.wait()
            try:
                with lock:
                    outcomes.append("won")
                    done.wait(10)
            except WorkDirError:
                outcomes.append("refused")

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 10
        while len(outcomes) < 8 and time.monotonic() < until:
            time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["refused"] * 7 + ["won"]


DEAD = dead_process()


@pytest.mark.parametrize("age", [0, 3600])
def test_killed_takeover_blocks_only_temporarily(tmp_path, age):
    write_lock(tmp_path, pid=DEAD)
    (tmp_path / "run.lock.takeover").touch()
    os.utime(tmp_path / "run.lock.takeover", (time.time() - age,) * 2)
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_lock_works_without_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    with WorkDirLock(tmp_path), pytest.raises(WorkDirError), WorkDirLock(tmp_path):
        pass
    write_lock(tmp_path, pid=DEAD)
    with WorkDirLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


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


def test_forked_process_does_not_release_the_lock(tmp_path):
    with WorkDirLock(tmp_path) as lock:
        child = os.fork()
        if child == 0:
            lock.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        assert owner(tmp_path)["pid"] == os.getpid()


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
