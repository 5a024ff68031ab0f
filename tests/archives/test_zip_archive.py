import zipfile

import pytest
from archive_files import image_bytes, write_zip

from mim_plugins.archives import open_archive
from mim_plugins.errors import ArchiveError

FILES = {f"{index}.png": image_bytes(index) for index in range(3)}


@pytest.fixture
def path(tmp_path):
    write_zip(tmp_path / "a.zip", FILES)
    return tmp_path / "a.zip"


@pytest.mark.parametrize("length", [0, 10, 3000, -1])
def test_truncated_archive_is_an_error(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ArchiveError, match="no complete zip archive"):
        open_archive(str(path))


def test_stored_and_deflated_members_are_equal(path):
    deflated = open_archive(str(path))
    write_zip(path.with_name("b.zip"), FILES, zipfile.ZIP_STORED)
    stored = open_archive(str(path.with_name("b.zip")))
    for index, data in enumerate(FILES.values()):
        assert deflated.read(index) == stored.read(index) == data


def test_overwritten_member_fails_its_checksum(path):
    data = bytearray(path.read_bytes())
    data[500:520] = b"x" * 20
    path.write_bytes(data)
    archive = open_archive(str(path))
    with pytest.raises(ValueError):
        archive.read(0)
    assert archive.read(2) == FILES["2.png"]


def test_bomb_expands_only_to_its_declared_size(path):
    write_zip(path, {"0.png": bytes(1 << 20)})
    data = path.read_bytes()
    real, declared = ((1 << n).to_bytes(4, "little") for n in (20, 10))
    path.write_bytes(data.replace(real, declared))
    with pytest.raises(ValueError, match="differs from its size"):
        open_archive(str(path)).read(0)


def test_rare_compression_is_an_error(path):
    write_zip(path, FILES, zipfile.ZIP_LZMA)
    with pytest.raises(ArchiveError, match="compressed by a rare method; write"):
        open_archive(str(path))
