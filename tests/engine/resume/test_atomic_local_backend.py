import os

import pytest
from mmengine.fileio import get_file_backend

from mim_plugins.engine.resume.atomic_local_backend import ATOMIC_BACKEND


class Killed(BaseException):
    pass


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend=ATOMIC_BACKEND))


def test_backend_writes_bytes_and_text(tmp_path, backend):
    backend.put(b"abc", tmp_path / "new" / "a.pth")
    backend.put_text("text", tmp_path / "b")
    assert (tmp_path / "new/a.pth").read_bytes() == b"abc"
    assert (tmp_path / "b").read_text() == "text"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.pth", "b", "new"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_kill_while_writing_keeps_the_old_file(tmp_path, backend, monkeypatch, moment):
    backend.put(b"old", tmp_path / "a.pth")

    def kill(*_):
        raise Killed

    monkeypatch.setattr(os, moment, kill)
    with pytest.raises(Killed):
        backend.put(b"new", tmp_path / "a.pth")
    assert (tmp_path / "a.pth").read_bytes() == b"old"


def test_full_disk_leaves_only_the_old_file(tmp_path, backend, monkeypatch):
    backend.put(b"old", tmp_path / "a.pth")

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        backend.put(b"new", tmp_path / "a.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]
    assert (tmp_path / "a.pth").read_bytes() == b"old"
