"""Folders in archives."""

import pytest
from archive_files import write_tar

from mim_plugins.archives import open_archive
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder, archive_member, splits
from mim_plugins.datasets.archive_member import members_at
from mim_plugins.datasets.archive_places import ArchivePlace
from mim_plugins.errors import ArchiveError, DataNotFoundError

CLASSES = ("bus", "car", "cat", "dog", "train")


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that returns paths and logged lines of an archive."""
    lines = []
    for module in (archive_member, splits):
        monkeypatch.setattr(module, "print_log", lambda text, *_: lines.append(text))

    def read(names, folder="", is_named=False, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
        write_tar(path, dict.fromkeys(names.split(), b""))
        lines.clear()
        place = ArchivePlace([str(path)], folder, is_named)
        members = members_at(place, [open_archive(str(path))], **options)
        return " ".join(each.path for each in members), list(lines)

    return read


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("names", "folder", "found"),
    [
        ("train/0.png valid/1.png", "./val/", "1.png"),
        ("a/b/train/0.png a/b/Val/1.png", "validation", "1.png"),
        ("a/train/0.png a/val/1.png", "a/val", "1.png"),
        ("train2017/0.png val2017/1.png", "train", "0.png"),
        ("x/images/0.png x/masks/1.png", "images", "0.png"),
        ("a/0.png val/1.png", "", "a/0.png val/1.png"),
    ],
)
def test_folder_of_exactly_the_name_is_read(read, strict, names, folder, found):
    assert read(names, folder, strict=strict) == (found, [])


def test_folders_that_are_not_read_are_a_warning(read):
    _, (line,) = read("train/0.png x/0.png val/0.png 0.png", "train")
    assert line.endswith("not read beside train: other images, x")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (" ".join(f"VOC/{name}/0.png" for name in CLASSES), "'VOC/train' may be the split, or a"),
        ("x/train_a/0.png x/train_b/0.png y/test/0.png", "but x/train_a, x/train_b, y/test"),
        ("b/val/c/0.png", "has no split 'train', but b/val"),
        ("train_224/0.png train_288/0.png", "no shards: train_224, train_288"),
    ],
)
def test_folders_that_may_be_splits_are_an_error(read, names, message):
    for strict in (False, True):
        with pytest.raises(DataNotFoundError, match=message):
            read(names, "train", strict=strict)


def test_missing_folder_is_an_error_unless_it_is_a_split(read):
    assert read("x/a/0.png x/b/0.png", "train")[0] == "a/0.png b/0.png"
    with pytest.raises(DataNotFoundError, match="no folder 'train': store its images as train/"):
        read("x/a/0.png x/b/0.png", "train", strict=True)
    for strict in (False, True):
        with pytest.raises(
            DataNotFoundError, match="has no folder or archive 'images', but x, y: give the path"
        ):
            read("x/0.png y/0.png", "images", strict=strict)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (" ".join(f"{name}/0.png" for name in CLASSES), None),
        ("freight_train/0.png metro/0.png test/0.png", None),
        ("resting/0.png training/0.png", None),
        ("a/0.png b/0.png", None),
        ("train/a/0.png train_x/a/0.png val/b/0.png y/0.png", "a/0.png"),
    ],
)
def test_archive_of_a_split_consists_of_its_classes(read, names, found):
    for strict in (False, True):
        assert read(names, "train", is_named=True, strict=strict)[0] == (found or names)


def write_shards(folder, tops, classes):
    for number, top in enumerate(tops):
        inner = classes[number] if classes else "ab"
        prefix = f"{top}/" if top else ""
        files = {f"{prefix}{name}/{number}.png": b"" for name in inner}
        write_tar(folder / f"part{number}.tar", files)
    return LabeledImageFolder(str(folder / "part*.tar"), lazy_init=True).load_data_list()


@pytest.mark.parametrize(
    ("tops", "classes"),
    [
        (("part0", "part1"), ("ab", "ab")),
        (("part0", "part1"), ("a", "b")),
        (("x", "x"), ("ab", "b")),
        (("", ""), ("ab", "ab")),
    ],
)
def test_folders_with_the_names_of_shards_are_no_classes(tmp_path, tops, classes):
    found = write_shards(tmp_path, tops, classes)
    assert [each["gt_label"] for each in found] == ["ab".index(c) for c in "".join(classes)]


def test_folders_of_archives_that_may_be_classes_are_an_error(tmp_path):
    with pytest.raises(
        ArchiveError, match=r"part0\.tar' and 1 other archive have a folder of fold"
    ):
        write_shards(tmp_path, ("x", "y"), ())
    images = UnlabeledImageFolder(str(tmp_path), lazy_init=True).load_data_list()
    assert len(images) == 4
    found = write_shards(tmp_path, ("", ""), ("a", "b"))
    assert [each["gt_label"] for each in found] == [0, 1]


def test_label_files_are_not_reported_as_left_out(read):
    assert read("0.png 0.cls")[1] == []
    assert "1 other files (such as '0.json')" in read("0.png 0.json")[1][0]
