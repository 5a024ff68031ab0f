import logging

from mmengine.fileio import LocalBackend

from mim_plugins.engine.resume.deferred_removals import DeferredRemovals


def test_files_and_folders_stay_until_removals_are_performed(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b").write_bytes(b"y")
    backend = DeferredRemovals(LocalBackend())
    backend.remove(str(tmp_path / "a.pth"))
    backend.rmtree(str(tmp_path / "folder"))
    assert (tmp_path / "a.pth").is_file()
    assert (tmp_path / "folder/b").is_file()
    backend.perform(logging.getLogger(), (OSError,))
    assert list(tmp_path.iterdir()) == []


def test_other_methods_are_those_of_the_backend(tmp_path):
    backend = DeferredRemovals(LocalBackend())
    backend.put(b"content", str(tmp_path / "a"))
    assert backend.get(str(tmp_path / "a")) == b"content"
    assert backend.isfile(str(tmp_path / "a"))


def test_files_written_since_are_kept(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    backend = DeferredRemovals(LocalBackend())
    for path in paths:
        backend.put(b"x", path)
        backend.remove(path)
    backend.perform(logging.getLogger(), (OSError,), kept=paths[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
