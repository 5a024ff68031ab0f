import pytest

from mim_plugins.datasets import splits
from mim_plugins.datasets.archive_places import (
    describe_unread,
    find_archives,
    is_archive_place,
    list_of_archive,
    name_with_split,
)
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def make(tmp_path):
    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return str(tmp_path)

    return touch


def found(root, split=""):
    place = find_archives(root, split)
    return place and ([path.rpartition("/")[2] for path in place.archives], place.folder)


def test_single_archive_keeps_the_split_as_a_folder(make):
    root = make("a.tar")
    assert found(f"{root}/a.tar", "train") == (["a.tar"], "train")
    assert found(f"{root}/a.tar") == (["a.tar"], "")
    assert is_archive_place(f"{root}/a.tar")


def test_archives_of_a_split_are_found_by_name_or_folder(make):
    root = make("train.tar", "val.tar", "trainer.tar", ".train.tar")
    assert found(root, "train") == (["train.tar"], "")
    root = make("p/train-0-of-2.parquet", "p/train-1-of-2.parquet", "p/validation-0-of-1.parquet")
    assert found(f"{root}/p", "train")[0] == ["train-0-of-2.parquet", "train-1-of-2.parquet"]
    assert found(f"{root}/p", "val")[0] == ["validation-0-of-1.parquet"]
    root = make("w/train/0.tar", "w/train/1.tar", "w/val/0.tar", "w/train.zip")
    assert found(f"{root}/w", "train") == (["0.tar", "1.tar"], "")
    assert found(make("l/val/data.mdb") + "/l", "val") == (["val"], "")


@pytest.mark.parametrize("split", ["val", "val/", "./val", "validation", "valid/"])
def test_all_spellings_of_a_split_find_its_archives(make, split):
    assert found(make("a/train.tar", "a/val.tar") + "/a", split) == (["val.tar"], "")
    assert found(make("b/train.tar", "b/valid-0.tar") + "/b", split) == (["valid-0.tar"], "")
    assert found(make("c/train/0.tar", "c/validation/1.tar") + "/c", split) == (["1.tar"], "")
    assert found(f"{make('d.tar')}/d.tar", split)[1] == split.strip("./")
    with pytest.raises(DataNotFoundError, match=r"has no split 'val[a-z]*', but train: give"):
        find_archives(make("e/train.tar") + "/e", split)
    name = split.strip("./")
    assert find_archives("hf://u/n", split).archives == [f"hf://u/n#{name}"]
    assert find_archives("hf://u/n#val", split, strict=True).archives == ["hf://u/n#val"]


def test_archives_of_a_split_are_those_named_like_it(make):
    root = make("A_img_train.tar", "A_img_val.tar", "A_labels.zip", "trainval.zip")
    place = find_archives(root, "Training")
    assert found(root, "train") == (["A_img_train.tar"], "")
    assert (place.is_named, place.split) == (False, "train")
    assert found(root, "valid") == (["A_img_val.tar"], "")
    assert found(root, "A_labels") == (["A_labels.zip"], "A_labels")
    assert len(find_archives(root).archives) == 4
    root = make("b/train_0.tar", "b/train_a/0.tar", "b/val_0/0.tar", "b/train_0/1.tar")
    assert found(f"{root}/b", "train") == (["1.tar", "0.tar"], "")
    root = make("c/train.lmdb/data.mdb", "c/val.lmdb/data.mdb", "c/x/train/0.tar")
    assert found(f"{root}/c", "train") == (["train.lmdb"], "")


def test_only_folder_of_archives_is_read(make):
    root = make("README.md", "data/train-0-of-1.parquet", "data/validation-0-of-1.parquet")
    assert found(root, "train") == (["train-0-of-1.parquet"], "")
    assert len(found(root)[0]) == 2
    make("more/train.tar")
    assert found(root, "train") is None


def test_archives_that_are_left_out_are_listed(make, monkeypatch):
    lines = []
    monkeypatch.setattr(splits, "print_log", lambda text, *_: lines.append(text))
    root = make("train_256_standard.tar", "val_256.tar", "test_256.tar")
    assert found(root, "train") == (["train_256_standard.tar"], "")
    assert lines == [f"'{root}': read as train: train_256_standard; left out: test_256, val_256"]
    make("train_masks.tar")
    with pytest.raises(DataNotFoundError, match="no clear split 'train'"):
        find_archives(root, "train")


def test_archives_of_classes_are_all_read(make):
    root = make(*(f"{name}.tar" for name in ("bus", "car", "train", "truck", "van")))
    assert found(root, "train")[1] == ""
    assert len(found(root, "train")[0]) == 5
    make("bullet_train.tar")
    assert len(found(root, "train")[0]) == 6
    make("val.tar")
    assert found(root, "train") == (["train.tar"], "")


def test_folder_of_a_split_is_read_in_its_archives_alone(make):
    root = make("train.tar", "val.tar", "x/train/0.tar", "x/val/0.tar")
    for place in (root, f"{root}/x"):
        archives, folder = found(place, "./train/cats/")
        assert (len(archives), folder) == (1, "cats")
    with pytest.raises(DataNotFoundError, match="has no split 'test', but train, val: give"):
        find_archives(root, "test/cats")


def test_folders_outside_of_the_root_are_joined(make):
    root = make("root/other.tar", "tars/train.tar")
    for split in (f"{root}/tars", f"{root}/tars/", "../tars", "./../tars/"):
        assert found(f"{root}/root", split) == (["train.tar"], "")
        assert found(f"{root}/root", split.replace("tars", "none")) is None


def test_folder_with_the_name_of_an_archive_is_looked_for_in_it(make):
    root = make("images.tar", "annotations.tar")
    archives = ["annotations.tar", "images.tar"]
    assert found(root, "images/training") == (archives, "images/training")


def test_archives_with_the_name_of_a_folder_may_contain_it(make):
    root = make("images-0.tar", "images-1.tar", "annotations.tar", "train.tar")
    place = find_archives(root, "images/")
    assert found(root, "images/") == (["images-0.tar", "images-1.tar"], "images")
    assert place.is_named
    assert not find_archives(root, "train").is_named


def test_name_of_an_archive_or_else_of_its_folder_has_the_split():
    for path, name in {
        "train.tar": "train",
        "a/validation-0-of-2.parquet": "validation-0-of-2",
        "a/valid/0.tar": "valid",
        "val/train_0.zip": "train_0",
        "a/trainer.tar": "trainer",
        "train2017/train_val.zip": "train2017",
        "hf://u/n#val": "n#val",
    }.items():
        assert name_with_split(path) == name


def test_folder_of_archives_without_splits_is_read_completely(make):
    root = make("0.tar", "1.zip", "notes.txt")
    assert found(root, "train") == (["0.tar", "1.zip"], "train")
    assert not is_archive_place(root)


def test_missing_split_is_an_error(make):
    with pytest.raises(DataNotFoundError, match="has no split 'train', but val: give"):
        find_archives(make("val.tar"), "train")


def test_patterns_match_archives(make):
    root = make("a-1.tar", "a-0.tar", "b.tar", "a-0.txt", "x/c.tar", "x/y/d.tar")
    assert found(f"{root}/a-*.tar", "train") == (["a-0.tar", "a-1.tar"], "train")
    assert found(f"{root}/c-*.jpg") is None
    assert len(found(f"{root}/**/*.tar")[0]) == 5


def test_splits_of_the_hub_are_part_of_the_name():
    assert find_archives("hf://u/n", "val").archives == ["hf://u/n#val"]
    assert find_archives("hf://u/n#test", "train").archives == ["hf://u/n#test"]
    assert find_archives("hf://u/n").archives == ["hf://u/n"]


@pytest.mark.parametrize(
    ("own", "split"), [("train", "val"), ("validation", "train"), ("test", "train"), ("x", "val")]
)
def test_other_split_than_that_of_the_name_can_be_refused(own, split):
    message = f"is the split '{own}' alone, but the split '{split}' is needed: give 'hf://u/n'"
    with pytest.raises(DataNotFoundError, match=message):
        find_archives(f"hf://u/n#{own}", split, strict=True)
    assert find_archives(f"hf://u/n#{own}", own, strict=True).archives == [f"hf://u/n#{own}"]


def test_names_of_the_same_split_are_no_contradiction():
    for own, split in (("validation", "val"), ("val", "validation"), ("train", "")):
        found = find_archives(f"hf://u/n#{own}", split, strict=True)
        assert found.archives == [f"hf://u/n#{own}"]


def test_other_places_are_described(make):
    root = make("a.tar.gz", "b.txt")
    assert find_archives(root) is None
    assert "format that is not read; supported are" in describe_unread(f"{root}/a.tar.gz")
    assert "no archive either" in describe_unread(f"{root}/b.txt")
    assert describe_unread(f"{root}/c") == "does not exist"


def test_lists_are_relative_to_the_folder_of_an_archive(make):
    root = make("a.tar")
    assert list_of_archive(f"{root}/a.tar", "l.txt") == f"{root}/l.txt"
    assert list_of_archive(root, "l.txt") == "l.txt"
