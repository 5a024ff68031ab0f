"""Folders in archives."""

import pytest
from archive_files import class_files, write_tar

from mim_plugins.archives import open_archive
from mim_plugins.datasets import UnlabeledImageFolder, archive_member
from mim_plugins.datasets.archive_member import has_split_as_class, members_at
from mim_plugins.datasets.archive_places import ArchivePlace


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that returns paths and logged lines of an archive."""
    lines = []
    monkeypatch.setattr(archive_member, "print_log", lambda text, *_, **__: lines.append(text))

    def read(names, folder="", **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
        write_tar(path, dict.fromkeys(names, b""))
        lines.clear()
        archive = open_archive(str(path))
        members = members_at(ArchivePlace([str(path)], folder), [archive], **options)
        return [each.path for each in members], list(lines), has_split_as_class([archive])

    return read


def test_all_names_of_the_validation_find_its_folder(read):
    for stored in ("val", "valid", "validation"):
        for asked in ("val", "validation/", "./valid"):
            names = ["train/0.png", f"{stored}/1.png"]
            assert read(names, asked, strict=True) == (["1.png"], [], False)
            assert read([f"a/{each}" for each in names], f"a/{asked}")[0] == ["1.png"]


@pytest.mark.parametrize("top", ["", "VOC/JPEGImages/"])
def test_class_with_the_name_of_a_split_is_a_warning(read, top):
    names = [f"{top}{name}/0.png" for name in ("bus", "car", "cat", "dog", "train")]
    paths, (line,), is_class = read(names, "train")
    assert paths == ["0.png"]
    assert "data_prefix='train' reads 1 of 5 images" in line
    assert "'train' seems to be a class" in line
    assert is_class
    assert read(names)[:2] == ([name.removeprefix(top) for name in names], [])
    for others in (["val"], ["val", "bus"], ["bus", "car", "cat"], []):
        names = [f"{top}{name}/0.png" for name in ("train", *others)]
        assert read(names, "train") == (["0.png"], [], False)


def test_label_files_are_not_reported_as_left_out(read):
    assert read(["0.png", "0.cls"])[1] == []
    assert "1 other files (such as '0.json')" in read(["0.png", "0.json"])[1][0]


def test_other_spelling_of_a_split_does_not_mix_archives(tmp_path):
    write_tar(tmp_path / "train.tar", class_files(images=1))
    write_tar(tmp_path / "val.tar", class_files(images=2))
    for prefix, images in {"train/": 2, "./train": 2, "validation": 4, "": 6}.items():
        assert len(UnlabeledImageFolder(str(tmp_path), data_prefix=prefix)) == images
