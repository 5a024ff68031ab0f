import os
import threading
from multiprocessing import get_context

import pytest

from mim_plugins.archives.handles import file_identity, forget_handles, handle_of, read_range


def test_handles_are_opened_once_and_few_remain():
    opened = []

    def opener(path):
        opened.append(path)
        return object()

    first = handle_of(opener, "0")
    assert handle_of(opener, "0") is first
    for number in range(100):
        handle_of(opener, str(number))
    assert handle_of(opener, "0") is not first
    assert len(opened) == 101


def test_handles_of_one_file_alone_are_forgotten():
    def opener(path):
        return object()

    first, second = handle_of(opener, "a"), handle_of(opener, "b", file=(1, 2))
    assert handle_of(opener, "c", file=(1, 2)) is second
    forget_handles("a")
    assert handle_of(opener, "a") is not first
    assert handle_of(opener, "b", file=(1, 2)) is second
    forget_handles((1, 2))
    assert handle_of(opener, "b", file=(1, 2)) is not second


def test_threads_open_a_file_once():
    opened, start = [], threading.Barrier(4)

    def opener(path):
        opened.append(path)
        threading.Event().wait(0.01)
        return object()

    def read():
        start.wait()
        handle_of(opener, "a")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["a"]


def test_process_that_forks_while_a_thread_opens_can_read():
    is_open, go_on = threading.Event(), threading.Event()

    def slow(path):
        is_open.set()
        go_on.wait(20)
        return path

    thread = threading.Thread(target=handle_of, args=(slow, "a"))
    thread.start()
    is_open.wait(20)
    child = get_context("fork").Process(target=handle_of, args=(str, "b"))
    child.start()
    child.join(20)
    go_on.set()
    thread.join()
    child.kill()
    assert child.exitcode == 0


def test_ranges_end_with_the_file(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_range(str(tmp_path / "a"), 2, 3) == b"234"
    assert read_range(str(tmp_path / "a"), 10, 0) == b""
    with pytest.raises(OSError, match="ends within a member"):
        read_range(str(tmp_path / "a"), 8, 3)


def test_file_stays_open_while_it_is_read(tmp_path, monkeypatch):
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"0123456789")
    other.write_bytes(b"abcdefghij")
    files = []

    def read_after_eviction(descriptor, size, offset, pread=os.pread):
        forget_handles(str(path))
        files.append(other.open("rb"))  # gets the lowest free number
        return pread(descriptor, min(size, 2), offset)

    monkeypatch.setattr(os, "pread", read_after_eviction)
    assert read_range(str(path), 1, 6) == b"123456"
    for file in files:
        file.close()


def test_all_paths_of_a_file_share_its_identity(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    (tmp_path / "link").symlink_to("a")
    os.link(tmp_path / "a", tmp_path / "hard")
    first, *others = (file_identity(str(tmp_path / name)) for name in ("a", "link", "hard"))
    assert others == [first, first]
    assert first != file_identity(str(tmp_path / "b"))
    assert file_identity(str(tmp_path / "gone")) == str(tmp_path.resolve() / "gone")
