"""Reading of members by address, in every format."""

import multiprocessing
import os
import pickle

import pytest
from archive_files import FORMATS, TREES, class_files, image_bytes, write_archive, write_tar

from mim_plugins.archives import (
    image_exists,
    is_url,
    open_archive,
    read_image_file,
    split_address,
    try_archives,
)
from mim_plugins.archives.image_archive import opened_archives
from mim_plugins.datasets.image_lists import paths_in
from mim_plugins.errors import ArchiveError, DataNotFoundError

FILES = class_files()


@pytest.fixture(params=FORMATS)
def archive(tmp_path, request):
    suffix = "" if request.param == "hf" else f".{request.param}"
    path = str(write_archive(tmp_path / f"data{suffix}", FILES, request.param))
    return request.param, path, open_archive(path)


def addresses(kind, path):
    """Return the address of every image, with its content."""
    names = FILES if kind in TREES else map(str, range(len(FILES)))
    return {f"{path}::{name}": data for name, data in zip(names, FILES.values(), strict=True)}


def test_members_have_the_content_that_was_written(archive):
    kind, path, opened = archive
    found = addresses(kind, path)
    assert len(opened) == len(found)
    for address, data in found.items():
        assert split_address(address) == tuple(address.split("::"))
        assert image_exists(address)
        assert read_image_file(address) == data
    for missing in (f"{path}::none", f"{path}::99"):
        assert not image_exists(missing)
        with pytest.raises(FileNotFoundError):
            read_image_file(missing)


def test_index_moves_to_other_processes_without_handles(archive):
    kind, path, opened = archive
    content = pickle.dumps(opened)
    assert len(content) < 4000
    opened_archives.pop(path)
    restored = pickle.loads(content)
    assert opened_archives[path] is restored
    for address, data in addresses(kind, path).items():
        assert read_image_file(address) == data


def _read(address):
    return read_image_file(address)


def test_processes_that_fork_read_the_same_archive(archive):
    kind, path, _ = archive
    found = addresses(kind, path)
    read_image_file(next(iter(found)))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_read, list(found) * 20) == list(found.values()) * 20


def test_file_that_changes_is_read_again(tmp_path):
    path = tmp_path / "a.tar"
    write_tar(path, {"1.png": image_bytes(1)})
    assert len(open_archive(str(path))) == 1
    write_tar(path, {"1.png": image_bytes(2), "2.png": image_bytes(3, (200, 200))})
    assert len(open_archive(str(path))) == 2
    assert read_image_file(f"{path}::1.png") == image_bytes(2)


def test_plain_files_may_have_colons_in_their_names(tmp_path):
    (tmp_path / "a::b.png").write_bytes(image_bytes())
    assert read_image_file(f"{tmp_path}/a::b.png") == image_bytes()
    assert split_address(f"{tmp_path}/a::b.png") is None


def test_plain_files_may_have_names_like_addresses(tmp_path):
    (tmp_path / "a.tar::b").mkdir()
    for name in ("a.tar::b/c.png", "c.zip::d.png"):
        (tmp_path / name).write_bytes(image_bytes())
        assert split_address(f"{tmp_path}/{name}") is None
        assert read_image_file(f"{tmp_path}/{name}") == image_bytes()
    missing = f"{tmp_path}/e.tar", "f.png"
    assert split_address("::".join(missing)) == missing
    later = write_archive(tmp_path / "g.zip::h.tar", FILES, "tar")
    assert split_address(f"{later}::a/0.png") == (str(later), "a/0.png")
    assert split_address("hf://user/none::0") == ("hf://user/none", "0")


@pytest.mark.parametrize("kind", TREES)
def test_paths_and_members_may_contain_the_separator(tmp_path, kind):
    folder = tmp_path / "a::b"
    folder.mkdir()
    files = {"x::y/1::2.png": image_bytes(1), "b.tar::3.png": image_bytes(2)}
    path = str(write_archive(folder / f"c::d.{kind}", files, kind))
    for name, data in files.items():
        assert split_address(f"{path}::{name}") == (path, name)
        assert read_image_file(f"{path}::{name}") == data
    assert paths_in(path, ["x::y/1::2.png"]) == [f"{path}::x::y/1::2.png"]
    assert split_address(f"{folder}/c::d.png") is None


def test_urls_are_neither_paths_nor_data_of_the_hub():
    for url in ("https://host/a.jpg", "S3://bucket/a", "cluster:s3://bucket/a", "gs://a.tar"):
        assert is_url(url)
        assert image_exists(url)
    for path in ("hf://user/name::0", "a.tar::b://c.jpg", "a/b://c.jpg", "a:b.jpg", "://a"):
        assert not is_url(path)


def test_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    os.mkfifo(tmp_path / "x.tar")
    with pytest.raises(OSError, match="not a regular file"):
        read_image_file(str(tmp_path / "x.png"))
    with pytest.raises(FileNotFoundError, match="is no file"):
        open_archive(str(tmp_path / "x.tar"))


def test_other_files_are_no_archives(tmp_path):
    with pytest.raises(ArchiveError, match="is no archive; supported are"):
        open_archive(str(tmp_path))


def test_one_archive_that_cannot_be_opened_closes_no_other(tmp_path):
    (tmp_path / "bad.tar").write_bytes(b"x" * 700)
    good = str(write_archive(tmp_path / "good.tar", FILES, "tar"))
    bad, gone = str(tmp_path / "bad.tar"), str(tmp_path / "gone.tar")
    opened, errors = try_archives([f"{path}::a/0.png" for path in (bad, gone, good, good)])
    assert [archive.path for archive in opened] == [good]
    assert {path: type(error) for path, error in errors.items()} == {
        bad: ArchiveError,
        gone: DataNotFoundError,
    }
