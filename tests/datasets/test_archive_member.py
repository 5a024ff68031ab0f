"""Folders in archives."""

import pytest
from archive_files import class_files, write_tar

from mim_plugins.archives import open_archive
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder, archive_member
from mim_plugins.datasets.archive_member import has_split_as_class, members_at
from mim_plugins.datasets.archive_places import ArchivePlace
from mim_plugins.errors import DataNotFoundError


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


@pytest.mark.parametrize("top", ["", "a/b-c/"])
def test_folder_that_stands_for_the_split_is_read_alone(read, top):
    names = [
        f"{top}{name}/0.png" for name in ("train2017", "val2017", "train_masks", "annotations")
    ]
    for strict in (False, True):
        assert read(names, "train", strict=strict)[:2] == (["0.png"], [])
        assert read(names, "validation", strict=strict)[:2] == (["0.png"], [])
    assert len(read(names)[0]) == 4
    names += [f"{top}Train_2014/0.png"]
    assert read(names, "train")[:2] == (["Train_2014/0.png", "train2017/0.png"], [])


def test_folders_of_other_splits_are_left_out(read):
    names = ["a/0.png", "0.png", "test/0.png", "my_val/0.png"]
    paths, lines, _ = read(names, "train")
    assert paths == ["0.png", "a/0.png"]
    assert lines[0].endswith(".tar': folders of other splits (my_val, test)")
    for refused, options in ((names, dict(strict=True)), (names[2:], {}), (["b/val/c/0.png"], {})):
        with pytest.raises(DataNotFoundError, match=r"has no folder 'train', but .*val"):
            read(refused, "train", **options)


def test_split_in_the_name_of_an_archive_agrees_with_its_folder(tmp_path):
    for name, images in {"val": 2, "a": None}.items():
        path = tmp_path / f"{name}.tar"
        write_tar(path, class_files("val", images=1))
        if images:
            assert len(UnlabeledImageFolder(str(path), data_prefix="train")) == images
            continue
        with pytest.raises(DataNotFoundError, match="has no folder 'train', but val: store"):
            UnlabeledImageFolder(str(path), data_prefix="train")


@pytest.mark.parametrize("kind", [UnlabeledImageFolder, LabeledImageFolder])
@pytest.mark.parametrize("name", ["train.tar", "A_img_train.tar", "train_val.tar", "train/0.tar"])
def test_folder_of_the_split_is_read_in_its_archive(tmp_path, kind, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    others = class_files("val") | class_files("train_masks", images=3)
    write_tar(tmp_path / name, class_files("train", images=1) | others)
    dataset = kind(str(tmp_path), data_prefix="train", lazy_init=True)
    found = dataset.load_data_list()
    assert [each["img_path"].partition("::")[2] for each in found] == [
        "train/a/0.png",
        "train/b/0.png",
    ]
    assert [each.get("gt_label") for each in found] in ([0, 1], [None, None])


def test_label_files_are_not_reported_as_left_out(read):
    assert read(["0.png", "0.cls"])[1] == []
    assert "1 other files (such as '0.json')" in read(["0.png", "0.json"])[1][0]


def test_other_spelling_of_a_split_does_not_mix_archives(tmp_path):
    write_tar(tmp_path / "train.tar", class_files(images=1))
    write_tar(tmp_path / "val.tar", class_files(images=2))
    for prefix, images in {"train/": 2, "./train": 2, "validation": 4, "": 6}.items():
        assert len(UnlabeledImageFolder(str(tmp_path), data_prefix=prefix)) == images
