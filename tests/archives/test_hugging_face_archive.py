import multiprocessing
import pickle
import sys

import datasets
import pytest
from archive_files import class_files, image_bytes
from remote_data import fake_hub

from mim_plugins.archives import open_archive
from mim_plugins.errors import ArchiveError

FILES = class_files()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    return fake_hub(monkeypatch, tmp_path, train=FILES, validation=FILES)


def test_names_of_the_hub_reach_the_library(hub):
    archive = open_archive("hf://user/first#val")
    assert hub == [("user/first", None, "validation")]
    assert archive.read(1) == list(FILES.values())[1]
    assert archive.labels().numbers.tolist() == [0, 0, 1, 1]
    assert archive.labels().classes == ("a", "b")
    open_archive("hf://user/first/config")
    assert hub[1:] == [("user/first", "config", "train")]


def test_other_processes_read_without_the_hub(hub, monkeypatch):
    archive = open_archive("hf://user/name")
    monkeypatch.setattr(datasets, "get_dataset_split_names", _fail)
    monkeypatch.setattr(datasets, "load_dataset", _fail)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(archive.read, range(4)) == list(FILES.values())  # which also pickles it
    restored = pickle.loads(pickle.dumps(archive))
    assert restored.read(3) == archive.read(3)
    assert restored.labels().classes == ("a", "b")


def _fail(*arguments, **options):
    raise ConnectionError("no\nnetwork")


def test_missing_splits_and_wrong_names_are_errors(hub):
    with pytest.raises(ArchiveError, match="no split 'test'; its splits are train, validation"):
        open_archive("hf://user/second#test")
    with pytest.raises(ArchiveError, match=r"write hf://\[USER/\]NAME"):
        open_archive("hf://../x/y/z")


def test_failure_of_the_library_is_one_line(monkeypatch):
    monkeypatch.setattr(datasets, "get_dataset_split_names", _fail)
    with pytest.raises(ArchiveError, match=r"'hf://user/third' cannot be loaded \(no network\)"):
        open_archive("hf://user/third")


def test_paths_in_rows_are_read_and_missing_ones_are_errors(tmp_path, hub, monkeypatch):
    (tmp_path / "1.png").write_bytes(image_bytes(1))
    paths = [str(tmp_path / "1.png"), str(tmp_path / "gone.png")]
    table = datasets.Dataset.from_dict(dict(image=paths)).cast_column("image", datasets.Image())
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: table)
    archive = open_archive("hf://user/of_paths")
    assert archive.labels() is None
    assert archive.read(0) == image_bytes(1)
    with pytest.raises(OSError, match=r"gone\.png', which is no file"):
        archive.read(1)


def test_column_that_is_no_class_only_prevents_labels(tmp_path):
    columns = dict(image=[dict(bytes=image_bytes(), path=None)], labels=[[1, 2]])
    table = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    table.save_to_disk(str(tmp_path / "a"))
    archive = open_archive(str(tmp_path / "a"))
    assert archive.read(0) == image_bytes()
    with pytest.raises(ArchiveError, match="'labels' must contain one number or name per image"):
        archive.labels()


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ArchiveError, match=r"package datasets .*: pip install 'mim_plugins\[hf"):
        open_archive("hf://user/fourth")
