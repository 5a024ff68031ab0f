import gzip
import tarfile

import pytest
from archive_files import image_bytes, write_tar

from mim_plugins.archives import image_archive, open_archive
from mim_plugins.errors import ArchiveError

FILES = {f"{index}.png": image_bytes(index) for index in range(3)}


@pytest.fixture
def path(tmp_path):
    write_tar(tmp_path / "a.tar", FILES)
    return tmp_path / "a.tar"


def test_every_truncation_is_an_error(path):
    data = path.read_bytes()
    with tarfile.open(path) as archive:
        end = archive.getmembers()[-1].offset
    for length in (0, 100, 512, 3000, end, end + 512, end + 600):
        path.write_bytes(data[:length])
        with pytest.raises(ArchiveError, match="no complete tar archive"):
            open_archive(str(path))


def test_overwritten_header_is_an_error(path):
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        start = archive.getmembers()[1].offset
    data[start : start + 100] = b"x" * 100
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="no end mark"):
        open_archive(str(path))


def test_compressed_archive_names_the_remedy(path):
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ArchiveError, match=r"compressed with gzip.*decompress it to a plain \.tar"):
        open_archive(str(path))


def test_repeated_name_is_an_error(path):
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("1.png"))
    with pytest.raises(ArchiveError, match=r"contains '1\.png' twice"):
        open_archive(str(path))


def test_links_and_devices_are_left_out(path):
    with tarfile.open(path, "a") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"special{kind!r}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert list(open_archive(str(path)).names) == list(FILES)


def test_links_to_members_are_read(path):
    links = (
        ("class/a.png", tarfile.SYMTYPE, "../b/last.png"),
        ("b/last.png", tarfile.SYMTYPE, "./../1.png"),
        ("./hard.png", tarfile.LNKTYPE, "2.png"),
        ("loop.png", tarfile.SYMTYPE, "pool.png"),
        ("pool.png", tarfile.SYMTYPE, "loop.png"),
    )
    with tarfile.open(path, "a") as archive:
        for name, kind, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    archive = open_archive(str(path))
    found = {name: archive.read(index) for index, name in enumerate(archive.names)}
    expected = {"class/a.png": "1.png", "b/last.png": "1.png", "./hard.png": "2.png"}
    assert found == FILES | {name: FILES[target] for name, target in expected.items()}


def test_member_above_the_limit_is_not_read(path, monkeypatch):
    monkeypatch.setattr(image_archive, "LARGEST_MEMBER", 100)
    with pytest.raises(ValueError, match="images may have 100"):
        open_archive(str(path)).read(0)


def test_names_of_any_bytes_are_found(path):
    name = b"\xff\n two words.png".decode("utf-8", "surrogateescape")
    write_tar(path, {name: image_bytes()} | FILES)
    archive = open_archive(str(path))
    assert archive.read(archive.find(name)) == image_bytes()


def test_archives_joined_by_cat_are_an_error(path):
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(ArchiveError, match=r"more data after the end mark .* tar -A"):
        open_archive(str(path))
