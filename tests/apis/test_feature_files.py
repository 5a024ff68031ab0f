import csv

import numpy as np
import pytest

from mim_plugins.apis.feature_files import WRITERS, check_file, write_features_file
from mim_plugins.apis.feature_spool import FeatureSpool
from mim_plugins.errors import ConfigError

COUNT = 600  # more than two blocks
NAMES = [f'a, "b"/ü {n}.png' for n in range(COUNT)]


@pytest.fixture
def spool(tmp_path):
    """Spool of two parts; the first one is empty."""
    numbers = np.arange(COUNT * 5, dtype=np.float32).reshape(COUNT, 5) / 7
    (tmp_path / "spool").mkdir()
    spool = FeatureSpool(tmp_path / "spool", dict(pooled=(3,), cls=(2,)))
    spool.append(1, NAMES, dict(pooled=numbers[:, :3], cls=numbers[:, 3:]))
    return spool, numbers


@pytest.mark.parametrize("suffix", WRITERS)
def test_all_formats_contain_the_same_names_and_numbers(tmp_path, spool, suffix):
    spool, numbers = spool
    path = tmp_path / f"file{suffix}.partial"
    if suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
    write_features_file(path, suffix, spool, parts=2)
    if suffix == ".npz":
        with np.load(path) as file:
            names, found = file["paths"].tolist(), np.hstack([file["features"], file["cls"]])
    elif suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            head, *lines = csv.reader(file)
        assert head == ["path", "feature_0", "feature_1", "feature_2", "cls_0", "cls_1"]
        names, found = [line[0] for line in lines], np.array([line[1:] for line in lines], "f4")
    else:
        columns = parquet.read_table(path).to_pydict()
        names, found = columns["path"], np.hstack([columns["features"], columns["cls"]])
    assert names == NAMES
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("suffix", WRITERS)
def test_no_images_give_a_file_without_rows(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    spool = FeatureSpool(tmp_path, dict(pooled=(3,)))
    write_features_file(tmp_path / "file", suffix, spool, parts=1)
    if suffix == ".npz":
        with np.load(tmp_path / "file") as file:
            assert file["features"].shape == (0, 3)
    assert (tmp_path / "file").stat().st_size


@pytest.mark.parametrize("name", ["a.txt", "a", "folder.npz", "maps.csv"])
def test_files_that_cannot_be_written_are_refused(tmp_path, name):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(ConfigError, match=f"out '{tmp_path / name}'"):
        check_file(tmp_path / name, ("pooled", "map"))
