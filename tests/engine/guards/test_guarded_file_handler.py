import errno
import logging
import shutil

import pytest
from disks import small_disk
from mmengine.logging import MMLogger

from mim_plugins.engine.guards.guarded_file_handler import GuardedFileHandler


@pytest.fixture
def make_logger(tmp_path):
    def make(file):
        logger = MMLogger(f"{tmp_path}", "test")
        logger.handlers.append(GuardedFileHandler(str(file), logger))
        return logger

    return make


@pytest.mark.parametrize("lost", ["folder", "parent", "file"])
def test_removed_log_file_is_recreated(tmp_path, make_logger, lost):
    file = tmp_path / "run/time/a.log"
    file.parent.mkdir(parents=True)
    logger = make_logger(file)
    logger.info("first")
    if lost == "file":
        file.unlink()
    else:
        shutil.rmtree(file.parent if lost == "folder" else file.parents[1])
    logger.info("second")
    assert file.read_text() == "second\n"


def test_log_in_a_permanently_lost_folder_is_reported_once(tmp_path, make_logger, capsys):
    file = tmp_path / "run/a.log"
    file.parent.mkdir()
    logger = make_logger(file)
    shutil.rmtree(file.parent)
    file.parent.write_text("in the way")
    for _ in range(3):
        logger.info("lost")
    file.parent.unlink()
    logger.info("kept")

    out, err = capsys.readouterr()
    assert out.count(f"log file '{file}' could not be written") == 1
    assert "can be written again" in out
    assert "Logging error" not in err
    assert "kept" in file.read_text()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_failing_stream_is_reopened(tmp_path, make_logger, capsys, code):
    file = tmp_path / "a.log"
    logger = make_logger(file)
    handler = logger.handlers[-1]

    class Broken:
        def write(self, text):
            raise OSError(code, "broken")

        def flush(self):
            raise OSError(code, "broken")

        close = flush

    logger.info("before")
    handler.stream.close()
    handler.stream = Broken()
    logger.info("lost")
    logger.info("after")
    assert "before" in file.read_text()
    assert "after" in file.read_text()
    out, err = capsys.readouterr()
    assert (out.count("could not be written: [Errno"), err) == (1, "")


def test_full_disk_costs_only_log_records(tmp_path, make_logger, capsys):
    with small_disk(tmp_path / "disk", "1m") as disk:
        logger = make_logger(disk.folder / "a.log")
        disk.fill()
        for number in range(2000):
            logger.info(f"record {number} " + "x" * 100)
        disk.make_room()
        logger.info("last")
        text = (disk.folder / "a.log").read_text()
        logger.handlers[-1].close()
    out, err = capsys.readouterr()
    assert out.count("No space left on device") == 1
    assert "Traceback" not in err
    assert "last\n" in text


def test_any_file_name_can_be_logged(tmp_path, make_logger):
    make_logger(tmp_path / "a.log").info("\udcff.jpg")
    assert "\\udcff.jpg" in (tmp_path / "a.log").read_text()


def test_other_errors_of_a_record_are_left_to_logging(tmp_path, make_logger, capsys):
    logger = make_logger(tmp_path / "a.log")
    logger.handlers.pop(0)
    logger.info("%d", "no number")
    assert "Logging error" in capsys.readouterr().err


def test_handler_otherwise_behaves_like_a_plain_one(tmp_path, make_logger):
    logger = make_logger(tmp_path / "a.log")
    assert isinstance(logger.handlers[-1], logging.FileHandler)
    logger.info("one")
    logger.info("two")
    assert (tmp_path / "a.log").read_text() == "one\ntwo\n"
