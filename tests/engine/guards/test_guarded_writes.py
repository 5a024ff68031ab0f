import errno
import logging
import os

import pytest

from mim_plugins.engine.guards.guarded_writes import try_writing, try_writing_lines

CODES = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOENT, errno.ESTALE]


@pytest.fixture
def logger(request):
    return logging.getLogger(request.node.name)


def failing(code):
    def write():
        raise OSError(code, os.strerror(code), "file")

    return write


@pytest.mark.parametrize("code", CODES, ids=[errno.errorcode[code] for code in CODES])
def test_each_failure_and_recovery_is_logged_once(logger, caplog, monkeypatch, code):
    monkeypatch.setattr("mim_plugins.engine.guards.guarded_writes._PAUSE", 0)
    caplog.set_level(logging.INFO)
    for _ in range(3):
        assert not try_writing(logger, "the list", failing(code))
    assert not try_writing(logger, "the picture", failing(code))
    assert try_writing(logger, "the list", lambda: None)
    assert try_writing(logger, "the list", lambda: None)
    assert not try_writing(logger, "the list", failing(code))

    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in said] == ["ERROR", "ERROR", "INFO", "ERROR"]
    assert said[0][1].startswith("the list could not be written: [Errno")
    assert os.strerror(code) in said[0][1]
    assert said[1][1].startswith("the picture could not be written")
    assert said[2][1] == "the list can be written again"
    assert said[3][1] == said[0][1]


def test_alternating_failures_are_logged_once(logger, caplog):
    caplog.set_level(logging.INFO)
    for _ in range(5):
        try_writing(logger, "the list", failing(errno.ENOSPC))
        try_writing(logger, "the list", lambda: None)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_two_loggers_do_not_share_their_state(caplog):
    for name in ("first", "second"):
        try_writing(logging.getLogger(name), "the list", failing(errno.EIO))
    assert len(caplog.records) == 2


def test_other_errors_than_write_errors_propagate(logger):
    with pytest.raises(ZeroDivisionError):
        try_writing(logger, "the list", lambda: 1 / 0)
    assert not try_writing(logger, "the list", lambda: 1 / 0, errors=(ArithmeticError,))


def test_lines_may_contain_file_names_of_any_bytes(logger, tmp_path, caplog):
    file = tmp_path / "new/folder/list.txt"
    assert try_writing_lines(logger, file, [os.fsdecode(b"\xff.jpg"), "é.jpg"])
    assert file.read_bytes() == b"\xff.jpg\n\xc3\xa9.jpg\n"
    assert not caplog.records


def test_unwritable_list_is_logged_with_its_path(logger, tmp_path, caplog):
    (tmp_path / "folder").write_text("a file where the folder should be")
    assert not try_writing_lines(logger, tmp_path / "folder/list.txt", ["a"])
    assert f"'{tmp_path / 'folder/list.txt'}' could not be written" in caplog.text
