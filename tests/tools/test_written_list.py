import os

import pytest
from written_list import prepare_list, write_list

from mim_plugins.errors import ConfigError


def test_folder_is_created_and_the_file_replaced(tmp_path):
    path = tmp_path / "a/b/list.txt"
    for lines in (["1", "2"], [os.fsdecode(b"\xff")]):
        write_list(path, lines)
    assert path.read_bytes() == b"\xff\n"
    assert os.listdir(path.parent) == ["list.txt"]


def test_pipes_are_written_and_stay_pipes(tmp_path, monkeypatch):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as that of /dev
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_list(path, ["1"])
    assert os.read(reader, 9) == b"1\n"
    os.close(reader)
    assert not path.is_file()


@pytest.mark.parametrize("exists", [True, False])
def test_links_stay_links_to_the_list(tmp_path, exists):
    """Programs whose output is redirected to a file have such a link, /dev/stdout."""
    if exists:
        (tmp_path / "target").write_text("earlier\n")
    (tmp_path / "link").symlink_to("target")
    write_list(tmp_path / "link", ["1"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "1\n"


def test_failure_keeps_the_earlier_file(tmp_path):
    def lines():
        yield "1"
        raise OSError(28, "No space left on device")

    path = tmp_path / "list.txt"
    write_list(path, ["earlier"])
    with pytest.raises(ConfigError, match=r"list.txt' \(No space left on device\): give another"):
        write_list(path, lines())
    assert path.read_text() == "earlier\n"
    assert os.listdir(tmp_path) == ["list.txt"]


def test_read_only_folders_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ConfigError, match="its folder is read-only"):
        prepare_list(tmp_path / "list.txt")
