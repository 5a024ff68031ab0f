import pytest

from mim_plugins.checkpoints import CheckpointError, write_atomically


def test_a_file_gets_its_name_when_it_is_complete(tmp_path):
    target = tmp_path / "x.pth"

    def write(path):
        path.write_text("half")
        assert path.parent == tmp_path
        assert not target.exists()
        path.write_text("whole")

    write_atomically(target, write)

    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_may_be_read_by_those_whom_the_system_permits(tmp_path):
    (tmp_path / "usual").touch()

    def write(path):
        path.touch(mode=0o600)

    write_atomically(tmp_path / "x.pth", write)

    assert (tmp_path / "x.pth").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_nothing_is_overwritten_unasked(tmp_path):
    target = tmp_path / "x.pth"
    target.write_text("old")

    with pytest.raises(CheckpointError, match=r"x\.pth' exists already.*--force"):
        write_atomically(target, lambda path: path.write_text("new"))
    assert target.read_text() == "old"

    write_atomically(target, lambda path: path.write_text("new"), overwrite=True)
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, error):
    target = tmp_path / "x.pth"
    target.write_text("old")

    def write(path):
        path.write_text("half")
        raise error

    with pytest.raises((CheckpointError, KeyboardInterrupt)):
        write_atomically(target, write, overwrite=True)

    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no folder '.*absent'"):
        write_atomically(tmp_path / "absent" / "x.pth", lambda path: None)
    with pytest.raises(CheckpointError, match="is a folder"):
        write_atomically(tmp_path, lambda path: None, overwrite=True)
