import os
import sys

import lmdb
import pytest
from archive_files import image_bytes, write_lmdb

from mim_plugins.archives import open_archive
from mim_plugins.errors import ArchiveError, CorruptImageError
from mim_plugins.transforms import LoadImage

PAGE = 4096
FILES = {f"{index}.png": image_bytes(index, (80, 80)) for index in range(3)}


def test_truncated_database_is_an_error(tmp_path):
    path = tmp_path / "a.lmdb"
    write_lmdb(path, FILES)
    data = path.read_bytes()
    for length in (0, 100, 4096, 8192, len(data) // 2):
        path.write_bytes(data[:length])
        with pytest.raises(ArchiveError, match="no complete LMDB database"):
            open_archive(str(path))


def test_other_file_is_an_error(tmp_path):
    (tmp_path / "a.lmdb").write_bytes(b"no database" * 1000)
    with pytest.raises(ArchiveError, match="no complete LMDB database"):
        open_archive(str(tmp_path / "a.lmdb"))


def test_corrupt_pages_make_their_images_corrupt(tmp_path):
    path = tmp_path / "a.lmdb"
    write_lmdb(path, FILES)
    open_archive(str(path))
    with path.open("r+b") as file:  # as a disk fault after the start of a run
        for page in range(2, path.stat().st_size // PAGE):
            file.seek(page * PAGE + 10)
            file.write(bytes(2))  # its kind
    with pytest.raises(CorruptImageError, match=r"unreadable \(.*MDB_CORRUPTED"):
        LoadImage()(dict(img_path=f"{path}::1.png"))


def test_folder_is_read_without_its_metadata(tmp_path):
    with lmdb.open(str(tmp_path / "a")) as environment, environment.begin(write=True) as writer:
        writer.put(b"1", image_bytes())
        writer.put(b"__len__", b"cos\nsystem\n(S'false'\ntR.")
    archive = open_archive(str(tmp_path / "a"))
    assert list(archive.names) == ["1"]
    assert archive.read(0) == image_bytes()


def test_only_metadata_is_left_out_of_keys_with_underscores(tmp_path):
    images = ("__background__/1.png", "__a.png", "__a.cls", "__x__/1", "_b", "c/__len__")
    others = ("__len__", "__keys__", "__meta__.json", "__classes__.pkl")
    write_lmdb(tmp_path / "a.lmdb", dict.fromkeys((*images, *others), b"x"))
    assert list(open_archive(str(tmp_path / "a.lmdb")).names) == sorted(images)


@pytest.mark.parametrize("is_folder", [False, True])
def test_database_is_read_by_all_its_paths(tmp_path, monkeypatch, is_folder):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("d/data.mdb" if is_folder else "a.lmdb")
    path.parent.mkdir(exist_ok=True)
    write_lmdb(path, FILES)
    others = [path.relative_to(tmp_path), tmp_path / "link.lmdb", tmp_path / "hard.lmdb"]
    others[1].symlink_to(path)
    os.link(path, others[2])
    archives = [open_archive(str(each)) for each in (path, *others)]
    if is_folder:
        archives.append(open_archive(str(path.parent)))
    for archive in archives * 2:
        assert [archive.read(index) for index in range(3)] == list(FILES.values())


def test_database_that_is_written_again_is_read_again(tmp_path):
    path = tmp_path / "a.lmdb"
    write_lmdb(path, FILES)
    assert len(open_archive(str(path))) == 3
    content = {"x.png": image_bytes(7, (90, 90))}
    write_lmdb(tmp_path / "b.lmdb", content)
    path.write_bytes((tmp_path / "b.lmdb").read_bytes())  # the same file
    os.utime(path, ns=(1, 1))
    archive = open_archive(str(path))
    assert (list(archive.names), archive.read(0)) == (["x.png"], content["x.png"])


def test_missing_package_names_the_command(tmp_path, monkeypatch):
    (tmp_path / "a.lmdb").touch()
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(
        ArchiveError, match=r"needs the package lmdb .*: pip install 'mim_plugins\[lm"
    ):
        open_archive(str(tmp_path / "a.lmdb"))
