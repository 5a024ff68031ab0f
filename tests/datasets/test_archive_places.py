"""Archives of a data root."""

import os

import pytest
from archive_files import class_files, image_bytes, write_archive

from mim_plugins.archives import archive_of
from mim_plugins.datasets.archive_places import (
    archive_place,
    describe_foreign,
    describe_unread,
    find_archives,
    is_archive_place,
    list_of_archive,
)
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def make(tmp_path):
    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(name.encode())
        return str(tmp_path)

    return touch


def found(root, split=""):
    place = find_archives(root, split)
    return place and ([os.path.basename(path) for path in place.archives], place.folder)


def test_archives_of_a_root_are_an_archive_a_pattern_or_all(make):
    root = make(
        "a-1.tar", "a-0.tar", "b.tar", "a-0.txt", "x/c.tar", "x/y/d.lmdb/data.mdb", ".e.tar"
    )
    assert found(f"{root}/b.tar", "./train/") == (["b.tar"], "train")
    assert found(f"{root}/a-*.tar", "train") == (["a-0.tar", "a-1.tar"], "train")
    assert found(f"{root}/c-*.jpg") is None
    assert found(root) == (["a-0.tar", "a-1.tar", "b.tar", "c.tar", "d.lmdb"], "")
    assert is_archive_place(f"{root}/b.tar")
    assert not is_archive_place(root)
    assert found(f"{root}/x/none") is None


def test_archives_are_recognized_by_their_files(make):
    root = make("a/data.mdb", "a/lock.mdb", "b/state.json", "b/dataset_info.json", "c/state.json")
    assert [archive_of(f"{root}/{name}") for name in ("a/data.mdb", "b/state.json", "x.tar")] == [
        f"{root}/a",
        f"{root}/b",
        f"{root}/x.tar",
    ]
    for name in ("a/lock.mdb", "b/dataset_info.json", "c/state.json", "a.txt"):
        assert archive_of(f"{root}/{name}") is None


@pytest.mark.parametrize(
    ("name", "split", "named", "strict"),
    [
        ("train.tar", "train", True, True),
        ("validation-00000-of-00001.parquet", "val", True, True),
        ("train/0.tar", "train", True, True),
        ("images-0.zip", "images", True, True),
        ("val.tar", "train", True, False),
        ("imagenet_train.tar", "train", False, False),
        ("test/0.tar", "train", False, False),
        ("0.tar", "", False, False),
    ],
)
def test_archive_that_is_the_split_needs_no_folder(make, name, split, named, strict):
    path = f"{make(name)}/{name}"
    assert find_archives(path, split).is_named == named
    assert find_archives(path, split, strict=True).is_named == strict


def test_archives_that_differ_in_the_suffix_alone_are_an_error(make):
    root = make("x/train.tar", "x/train.zip", "y/a.tar", "z/a.zip")
    with pytest.raises(
        DataNotFoundError, match=r"train\.tar' and '.*train\.zip' have the same name"
    ):
        find_archives(f"{root}/x")
    assert found(root + "/[yz]/*")[0] == ["a.tar", "a.zip"]


def test_table_without_images_beside_an_archive_is_left_out(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    write_archive(tmp_path / "00000.tar", class_files(), "tar")
    parquet.write_table(pyarrow.table(dict(url=["a"], key=["0"])), tmp_path / "00000.parquet")
    assert found(str(tmp_path)) == (["00000.tar"], "")
    write_archive(tmp_path / "00000.parquet", {"a/0.png": image_bytes()}, "parquet")
    with pytest.raises(DataNotFoundError, match="have the same name"):
        find_archives(str(tmp_path))


def test_links_to_an_archive_are_read_once(make):
    root = make("b-1.tar", "c.tar")
    os.symlink("b-1.tar", f"{root}/a-0.tar")
    os.link(f"{root}/c.tar", f"{root}/d.tar")
    assert found(root) == (["b-1.tar", "c.tar"], "")
    paths = [f"{root}/{name}.tar" for name in "ac"]
    os.rename(f"{root}/a-0.tar", f"{root}/a.tar")
    assert archive_place(paths).archives == paths


def test_splits_of_the_hub_are_part_of_the_name():
    assert find_archives("hf://u/n", "./val/").archives == ["hf://u/n#val"]
    assert find_archives("hf://u/n#test", "train").archives == ["hf://u/n#test"]
    assert find_archives("hf://u/n").archives == ["hf://u/n"]
    for own, split in (("validation", "val"), ("val", "validation"), ("train", "")):
        place = find_archives(f"hf://u/n#{own}", split, strict=True)
        assert place.archives == [f"hf://u/n#{own}"]
    for own, split in (("train", "val"), ("validation", "train"), ("x", "val")):
        message = f"is the split '{own}' alone, but the split '{split}' is needed: give 'hf://u/n'"
        with pytest.raises(DataNotFoundError, match=message):
            find_archives(f"hf://u/n#{own}", split, strict=True)


def test_other_places_are_described(make):
    root = make("x/a.tar.gz", "b.txt")
    assert find_archives(root) is None
    assert describe_foreign(root).startswith(f"; '{root}/x/a.tar.gz' has a format that is not read")
    assert describe_unread(f"{root}/b.txt").startswith("is not a folder, and no archive either")
    assert describe_unread(f"{root}/c") == "does not exist"
    os.remove(f"{root}/x/a.tar.gz")
    assert describe_foreign(root) == ""


def test_lists_are_relative_to_the_folder_of_an_archive(make):
    root = make("a.tar")
    assert list_of_archive(f"{root}/a.tar", "l.txt") == f"{root}/l.txt"
    assert list_of_archive(root, "l.txt") == "l.txt"
