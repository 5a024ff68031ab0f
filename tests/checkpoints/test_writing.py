import errno
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from disks import lose_answers_of_links

from mim_plugins.checkpoints import PARTIAL_SUFFIX, write_atomically, write_checkpoint
from mim_plugins.errors import CheckpointError


@pytest.fixture
def target(tmp_path):
    file = tmp_path / "x.pth"
    file.write_text("old")
    return file


def test_a_file_is_renamed_when_it_is_complete(tmp_path):
    target = tmp_path / "x.pth"

    def write(path):
        path.write_text("half")
        assert path.parent == tmp_path
        assert not target.exists()
        path.write_text("whole")

    write_atomically(target, write)

    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_flushed_before_and_its_folder_after_renaming(target, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition(".")[2])
        fsync(descriptor)

    def note_replace(*names):
        done.append("renamed")
        replace(*names)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_atomically(target, lambda path: path.write_text("new"))

    assert done == [PARTIAL_SUFFIX[1:], "renamed", str(target.parent)]


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("is_link", [False, True])
def test_file_that_appears_meanwhile_can_be_kept(tmp_path, monkeypatch, has_links, is_link):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "no hard links")

    def write_other(partial):
        partial.write_text("new")
        if is_link:
            target.symlink_to("nowhere")
        else:
            target.write_text("other")

    target = tmp_path / "x.pth"
    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(FileExistsError):
        write_atomically(target, write_other, replace=False)
    with pytest.raises(CheckpointError, match="exists already: give another file"):
        write_checkpoint(target, write_other)
    assert list(tmp_path.iterdir()) == [target]
    assert target.is_symlink() if is_link else target.read_text() == "other"
    target.unlink()
    write_atomically(target, lambda partial: partial.write_text("new"), replace=False)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_link_that_was_made_is_no_file_of_others(tmp_path, monkeypatch):
    lose_answers_of_links(monkeypatch)
    target = tmp_path / "x.pth"
    write_atomically(target, lambda partial: partial.write_text("new"), replace=False)
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_threads_that_write_the_same_file_do_not_meet(tmp_path):
    both = threading.Barrier(2)

    def write(text):
        def fill(partial):
            partial.write_text(text)
            both.wait(20)
            assert partial.read_text() == text
            both.wait(20)

        write_atomically(tmp_path / "x.pth", fill)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(write, "ab")) == [None, None]
    assert (tmp_path / "x.pth").read_text() in ("a", "b")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_has_the_systems_default_permissions(tmp_path):
    (tmp_path / "usual").touch()

    def write(path):  # as safetensors does
        (tmp_path / "own").touch(mode=0o600)
        os.replace(tmp_path / "own", path)

    write_atomically(tmp_path / "x.pth", write)

    assert (tmp_path / "x.pth").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, None])
def test_a_file_system_without_permissions_gets_the_file(target, monkeypatch, mode):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def write(path):
        path.write_text("new")
        if mode is not None:
            os.chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", refuse)
    write_atomically(target, write)

    assert target.read_text() == "new"


@pytest.mark.parametrize(
    ("number", "of_folder", "tolerated"),
    [
        (errno.EINVAL, True, True),
        (errno.ENOTSUP, True, True),
        (errno.EIO, True, False),
        (errno.EINVAL, False, False),
    ],
)
def test_only_a_folder_may_fail_to_be_flushed(target, monkeypatch, number, of_folder, tolerated):
    fsync = os.fsync

    def fail(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}") == of_folder:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    if tolerated:
        write_atomically(target, lambda path: path.write_text("new"))
        assert target.read_text() == "new"
    else:
        with pytest.raises(OSError, match=os.strerror(number)):
            write_atomically(target, lambda path: path.write_text("new"))


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt(), ValueError()])
def test_a_failed_write_leaves_only_the_old_file(target, error):
    def write(path):
        path.write_text("half")
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, write)

    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_failed_flush_or_renaming_leaves_only_the_old_file(target, monkeypatch, moment):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, moment, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, lambda path: path.write_text("new"))

    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_a_killed_process_leaves_the_old_file(target):
    program = (
        "import os, signal, sys\n"
        "from mim_plugins.checkpoints import write_atomically\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(sys.argv[1], lambda path: path.write_text('new'))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(target)])

    assert ended.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    (rest,) = set(target.parent.iterdir()) - {target}
    assert rest.match(f"x.pth.*{PARTIAL_SUFFIX}")


def test_nothing_is_overwritten_without_request(target):
    with pytest.raises(CheckpointError, match=r"x\.pth' exists already.*--force"):
        write_checkpoint(target, lambda path: path.write_text("new"))
    assert target.read_text() == "old"

    write_checkpoint(target, lambda path: path.write_text("new"), overwrite=True)
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("disk full"), RuntimeError("PytorchStreamWriter")])
def test_a_failed_write_is_an_error_for_the_user(target, error):
    def write(path):
        path.write_text("half")
        raise error

    with pytest.raises(
        CheckpointError, match=rf"cannot write '.*x\.pth': {error}; check disk space"
    ):
        write_checkpoint(target, write, overwrite=True)
    assert target.read_text() == "old"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no folder '.*absent'"):
        write_checkpoint(tmp_path / "absent" / "x.pth", lambda path: None)
    with pytest.raises(CheckpointError, match="is a folder"):
        write_checkpoint(tmp_path, lambda path: None, overwrite=True)
