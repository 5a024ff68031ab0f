"""Folders in archives."""

import pytest
from archive_files import class_files, write_tar

from mim_plugins.archives import open_archive
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder, archive_member, splits
from mim_plugins.datasets.archive_member import contains_images, members_at
from mim_plugins.datasets.archive_places import ArchivePlace
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that returns paths and logged lines of an archive."""
    lines = []
    for module in (archive_member, splits):
        monkeypatch.setattr(module, "print_log", lambda text, *_: lines.append(text))

    def read(names, folder="", **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
        write_tar(path, dict.fromkeys(names, b""))
        lines.clear()
        archive = open_archive(str(path))
        members = members_at(ArchivePlace([str(path)], folder), [archive], **options)
        return [each.path for each in members], list(lines)

    return read


def test_all_names_of_the_validation_find_its_folder(read):
    for stored in ("val", "valid", "validation"):
        for asked in ("val", "validation/", "./valid"):
            names = ["train/0.png", f"{stored}/1.png"]
            assert read(names, asked, strict=True) == (["1.png"], [])
            assert read([f"a/{each}" for each in names], f"a/{asked}")[0] == ["1.png"]


@pytest.mark.parametrize("top", ["", "VOC/JPEGImages/"])
def test_class_with_the_name_of_a_split_is_a_warning(read, top):
    names = [f"{top}{name}/0.png" for name in ("bus", "car", "cat", "dog", "train")]
    paths, (line,) = read(names, "train")
    assert paths == [name.removeprefix(top) for name in names]
    assert "'train' is read with the 4 others in" in line
    assert read(names) == (paths, [])
    for others in (["val"], ["val", "test"], []):
        names = [f"{top}{name}/0.png" for name in ("train", *others)]
        assert read(names, "train") == (["0.png"], [])
    assert "left out: bus, car" in read(["bus/0.png", "car/0.png", "train/0.png"], "train")[1][0]


@pytest.mark.parametrize("top", ["", "a/b-c/", "pre-train/imagenet/", "val/"])
def test_folder_that_stands_for_the_split_is_read_alone(read, top):
    names = [f"{top}{name}/0.png" for name in ("train2017", "val2017", "annotations")]
    for strict in (False, True):
        assert read(names, "train", strict=strict)[0] == ["0.png"]
        paths, (line,) = read(names, "Validation", strict=strict)
        assert paths == ["0.png"]
        assert line.endswith("read as val: val2017; left out: annotations, train2017")
    assert len(read(names)[0]) == 3
    names += [f"{top}Train_2014/a/0.png"]
    assert read(names, "train")[0] == ["a/0.png", "0.png"]
    with pytest.raises(DataNotFoundError, match=f"data_prefix='{top}Train_2014', or"):
        read([*names, f"{top}train_masks/0.png"], "train")
    assert read([*names, f"{top}train_masks/1.png"], "train_masks")[0] == ["1.png"]


def test_other_splits_without_the_wanted_one_are_an_error(read):
    names = ["a/0.png", "0.png", "test/0.png", "my_val/0.png"]
    for refused, options in ((names, {}), (names, dict(strict=True)), (["b/val/c/0.png"], {})):
        with pytest.raises(DataNotFoundError, match=r"has no split 'train', but .*val"):
            read(refused, "train", **options)
    for name in ("train", "images"):
        assert len(read(names[:2], name)[0]) == 2
        with pytest.raises(DataNotFoundError, match=f"no folder '{name}', but x/a, x/b: store"):
            read(["x/a/0.png", "x/b/0.png"], name, strict=True)
        with pytest.raises(DataNotFoundError, match=f"no folder '{name}': store"):
            read(["x/0.png"], name, strict=True)


def test_labels_in_several_folders_of_a_split_are_the_classes(tmp_path):
    files = class_files("train_0") | class_files("train_1", classes="bc") | class_files("val")
    write_tar(tmp_path / "a.tar", files | {"train_1/d/": b""})
    (tmp_path / "b").mkdir()
    write_tar(tmp_path / "b/train.tar", files)
    dataset = LabeledImageFolder(str(tmp_path / "a.tar"), data_prefix="train")
    assert dataset.CLASSES == ("a", "b", "c")
    assert dataset.get_gt_labels().tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    dataset = LabeledImageFolder(str(tmp_path / "b"), data_prefix="train")
    assert dataset.get_gt_labels().tolist() == [0, 0, 1, 1, 1, 1, 2, 2]


def test_classes_of_an_archive_of_a_split_are_no_splits(tmp_path):
    classes = ("freight_train", "metro", "test", "train")
    write_tar(tmp_path / "val.tar", {f"{name}/0.png": b"" for name in classes})
    for kind in (LabeledImageFolder, UnlabeledImageFolder):
        assert len(kind(str(tmp_path), data_prefix="val", lazy_init=True).load_data_list()) == 4


def test_archives_of_annotations_contain_no_images(tmp_path):
    for name, expected in {"a.json": False, ".a.png": False, "a.png": True, "key": True}.items():
        write_tar(tmp_path / f"{name}.tar", {name: b""})
        assert contains_images(str(tmp_path / f"{name}.tar"), (".png",)) == expected


def test_split_in_the_name_of_an_archive_agrees_with_its_folder(tmp_path):
    for name, images in {"val": 2, "a": None}.items():
        path = tmp_path / f"{name}.tar"
        write_tar(path, class_files("val", images=1))
        if images:
            assert len(UnlabeledImageFolder(str(path), data_prefix="train")) == images
            continue
        with pytest.raises(DataNotFoundError, match="has no split 'train', but val: give"):
            UnlabeledImageFolder(str(path), data_prefix="train")


@pytest.mark.parametrize("kind", [UnlabeledImageFolder, LabeledImageFolder])
@pytest.mark.parametrize("name", ["train.tar", "A_img_train.tar", "train_val.tar", "train/0.tar"])
def test_folder_of_the_split_is_read_in_its_archive(tmp_path, kind, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    others = class_files("val") | class_files("train_masks", images=3) | class_files("x/y")
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
    for prefix, images in {
        "train/": 2,
        "./train": 2,
        "Training": 2,
        "validation": 4,
        "": 6,
    }.items():
        assert len(UnlabeledImageFolder(str(tmp_path), data_prefix=prefix)) == images
