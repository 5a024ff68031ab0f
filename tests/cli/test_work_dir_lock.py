import os
import subprocess
import sys
import threading
import time

import pytest
from disks import lose_answers_of_links
from lock_files import FAST, dead_process, owner, write_lock

from mim_plugins.cli import WorkDirLock
from mim_plugins.cli import work_dir_lock as module
from mim_plugins.errors import WorkDirError


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


def test_lock_that_was_made_is_no_lock_of_others(tmp_path, monkeypatch):
    lose_answers_of_links(monkeypatch)
    with WorkDirLock(tmp_path, **FAST):
        assert owner(tmp_path)["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_forked_process_does_not_release_the_lock(tmp_path):
    with WorkDirLock(tmp_path) as lock:
        child = os.fork()
        if child == 0:
            lock.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        assert owner(tmp_path)["pid"] == os.getpid()
