import pytest
from archive_files import class_files, write_archive

from mim_plugins.archives import archive_format, format_of_suffix
from mim_plugins.archives.formats import open_archive
from mim_plugins.errors import ArchiveError, DataNotFoundError


def test_formats_are_recognized_by_suffix_or_content(tmp_path):
    names = ("a.TAR", "a.zip", "a.parquet", "a.lmdb", "a.tar.gz", "a.jpg", "a")
    expected = ["tar", "zip", "parquet", "lmdb", None, None, None]
    assert list(map(format_of_suffix, names)) == expected
    assert archive_format("hf://user/name") == "hf"
    assert archive_format("hf://user/name::0") is None
    (tmp_path / "b.tar").mkdir()
    assert archive_format(str(tmp_path / "b.tar")) is None
    (tmp_path / "b.tar/data.mdb").touch()
    assert archive_format(str(tmp_path / "b.tar")) == "lmdb"
    write_archive(tmp_path / "c", class_files(), "hf")
    assert archive_format(str(tmp_path / "c")) == "hf"


def test_folder_with_a_file_of_state_is_no_archive(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    assert archive_format(str(tmp_path)) is None
    (tmp_path / "dataset_info.json").write_text("{}")
    assert archive_format(str(tmp_path)) == "hf"


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"a\.zip' does not exist"):
        open_archive(str(tmp_path / "a.zip"))


@pytest.mark.parametrize("kind", ["tar", "zip", "lmdb", "parquet"])
def test_content_of_another_format_is_an_error(tmp_path, kind):
    file = tmp_path / f"a.{kind}"
    for content in (b"", b"x", b"x" * 5000):
        file.write_bytes(content)
        with pytest.raises(ArchiveError, match="is no complete"):
            open_archive(str(file))
