import sys

import pyarrow
import pytest
from archive_files import class_files, image_bytes, write_parquet
from pyarrow import parquet

from mim_plugins.archives import open_archive, parquet_archive
from mim_plugins.errors import ArchiveError

FILES = class_files(images=3)


def test_rows_of_any_row_group_are_read(tmp_path):
    for rows in (1, 4, 100):
        path = tmp_path / f"{rows}.parquet"
        write_parquet(path, FILES, rows)
        archive = open_archive(str(path))
        assert [archive.read(index) for index in (5, 0, 3)] == [
            list(FILES.values())[index] for index in (5, 0, 3)
        ]
        assert archive.rows_per_read == min(rows, 3 if rows == 4 else 6)


def test_row_groups_larger_than_an_array_are_refused(tmp_path, monkeypatch):
    assert parquet_archive._LARGEST_GROUP <= 2**31
    monkeypatch.setattr(parquet_archive, "_LARGEST_GROUP", 1000)
    write_parquet(tmp_path / "a.parquet", FILES)
    with pytest.raises(ArchiveError, match=r"has row groups of 0\.0 GiB, .* small row_group_size"):
        open_archive(str(tmp_path / "a.parquet"))


def test_column_of_bytes_and_labels_as_text_are_read(tmp_path):
    table = pyarrow.table(dict(jpg=[image_bytes(1), None], cls=["dog", "cat"], id=[0, 1]))
    parquet.write_table(table, tmp_path / "a.parquet")
    archive = open_archive(str(tmp_path / "a.parquet"))
    assert archive.read(0) == image_bytes(1)
    assert archive.labels().numbers.tolist() == [1, 0]
    assert archive.labels().classes == ("cat", "dog")
    with pytest.raises(OSError, match="row has no image"):
        archive.read(1)


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: dict(bytes=data)])
def test_names_of_columns_may_contain_dots(tmp_path, wrap):
    table = pyarrow.table({"im.age": [wrap(image_bytes(1))]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert open_archive(str(tmp_path / "a.parquet")).read(0) == image_bytes(1)


@pytest.mark.parametrize("label", [1.5, float("nan"), [1], dict(id=1), ["cat"]])
def test_columns_that_are_no_classes_only_prevent_labels(tmp_path, label):
    table = pyarrow.table(dict(image=[b"x"] * 2, label=[label] * 2))
    parquet.write_table(table, tmp_path / "a.parquet")
    archive = open_archive(str(tmp_path / "a.parquet"))
    assert archive.read(1) == b"x"
    with pytest.raises(ArchiveError, match="'label' must contain one number or name per image"):
        archive.labels()


def test_table_without_a_column_of_images_is_an_error(tmp_path):
    for columns in (dict(id=[1]), dict(a=[b"x"], b=[b"y"]), dict(image=["a.png"])):
        parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
        with pytest.raises(ArchiveError, match=f"has the columns {', '.join(columns)}, but needs"):
            open_archive(str(tmp_path / "a.parquet"))


def test_truncated_file_is_an_error(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path, FILES)
    data = path.read_bytes()
    for length in (0, 4, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ArchiveError, match="no complete Parquet file"):
            open_archive(str(path))


def test_missing_package_names_the_command(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ArchiveError, match=r"package pyarrow .*: pip install 'mim_plugins\[parq"):
        open_archive(str(tmp_path / "a.parquet"))
