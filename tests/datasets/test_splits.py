"""Splits among names side by side, and classes with the name of a split."""

import os

import pytest
from packs import write_folder

from mim_plugins.datasets import splits
from mim_plugins.datasets.splits import (
    choose_split,
    class_in_folder,
    normal_split,
    plain_split,
    split_in_name,
    split_level,
    splits_among,
)
from mim_plugins.errors import DataNotFoundError

CLASSES = ("bus/0.png", "car/0.png", "cat/0.png", "dog/0.png")
OPENIMAGES = " ".join(f"train_{name}" for name in "0123456789abcdef")
EVERYTHING = (
    "bus car bullet_train",
    "ant bee bullet_train cat dog valley",
    "ant bee bullet_train cat crash_test dog",
    "freight_train metro steam_train tram",
    "laion cc12m imagenet_train",
    "train2017",
    "train_images train_masks",
    "val2017",
    "2016 2017 2018",
    "trainval devkit",
    "train_val latest contest",
    "bus car cat dog train",
    "bus car cat dog bullet_train train",
    "",
)
ALONE = (  # what is read, what is named in the warning
    ("train val test", "train", ""),
    ("Train Validation", "Train", ""),
    ("training testing", "training", ""),
    ("train train_masks val val_masks", "train", "train_masks, val_masks"),
    ("train laion cc12m", "train", "cc12m, laion"),
    ("bus car cat train", "train", "bus, car, cat"),
    ("bus car cat dog train val", "train", "bus, car, cat, dog"),
    ("bus car cat dog train test1", "train", "bus, car, cat, dog, test1"),
    (f"{OPENIMAGES} validation test", OPENIMAGES, "test, validation"),
    ("train.X1 train.X2 val.X", "train.X1 train.X2", "val.X"),
    ("training_set test_set", "training_set", "test_set"),
    ("train_data val_data test_data", "train_data", "test_data, val_data"),
    ("trainA trainB testA testB", "trainA trainB", "testA, testB"),
    ("train_v2 test_v2", "train_v2", "test_v2"),
    ("train-jpg test-jpg-v2", "train-jpg", "test-jpg-v2"),
    ("DIV2K_train_HR DIV2K_valid_HR", "DIV2K_train_HR", "DIV2K_valid_HR"),
    ("train_fold0 train_fold1 val_fold0", "train_fold0 train_fold1", "val_fold0"),
    ("train_part1 train_part2 test_part1", "train_part1 train_part2", "test_part1"),
    ("train_224x224 val_224x224", "train_224x224", "val_224x224"),
    ("train_shard_00 val_shard_00", "train_shard_00", "val_shard_00"),
    ("ILSVRC2012_img_train ILSVRC2012_img_val", "ILSVRC2012_img_train", "ILSVRC2012_img_val"),
    ("train2014 train2017 val2014 images", "train2014 train2017", "images, val2014"),
    ("train-0-of-2-1ef34d1ffd9d2c4f train-1-of-2-00aa34d1ffd9d2c4 validation-0",
     "train-0-of-2-1ef34d1ffd9d2c4f train-1-of-2-00aa34d1ffd9d2c4", "validation-0"),
    ("a b c d x_train x_val", "x_train", "a, b, c, d, x_val"),
)  # fmt: skip
REFUSED = (  # what the error names, and the data_prefix that it proposes
    ("val", "no split 'train', but val", "val"),
    ("2016 2017 2018 2019 test", "no split 'train', but 2016, 2017, 2018, 2019, test", "2016"),
    ("s1 s2 s3 s4 val", "no split 'train', but s1, s2, s3, s4, val", "s1"),
    ("data_large val_large test_large", "no split 'train', but data_large", "data_large"),
    ("validation test2017", "no split 'train', but test2017, validation", "test2017"),
    ("train_images train_masks val", "no clear split .* train_images, train_ma", "train_images"),
    ("train_v2 train-jpg test_v2", "no clear split 'train'", "train-jpg"),
    ("train2017 panoptic_train2017 val2017", "no clear", "panoptic_train2017"),
    ("bullet_train crash_test", "no clear split 'train', but bullet_train:", "bullet_train"),
    ("train_val val test", "no split 'train'", "train_val"),
)  # fmt: skip


@pytest.fixture
def choose(monkeypatch):
    lines = []
    monkeypatch.setattr(splits, "print_log", lambda text, *_: lines.append(text))

    def choose(names, wanted="train", is_class=lambda _: True):
        lines.clear()
        own = choose_split(set(names.split()), wanted, is_class, "/data", "x/")
        return own, " ".join(lines)

    return choose


@pytest.mark.parametrize("names", EVERYTHING)
def test_names_without_splits_are_all_read(choose, names):
    own, line = choose(names)
    assert own is None
    if "train" in names.split():
        others = len(names.split()) - 1
        assert f"'train' is read with the {others} others in '/data', because it seems" in line
    else:
        assert line == ""


@pytest.mark.parametrize(("names", "read", "others"), ALONE)
def test_names_of_the_split_are_read_with_a_warning(choose, names, read, others):
    own, line = choose(names)
    assert own == sorted(read.split())
    if others:
        assert line.startswith("'/data': read as train: ")
        assert line.endswith(f"; left out: {others}")
    else:
        assert line == ""


@pytest.mark.parametrize(("names", "message", "example"), REFUSED)
def test_unclear_names_of_the_split_are_an_error(choose, names, message, example):
    with pytest.raises(DataNotFoundError, match=f"'/data' has {message}") as error:
        choose(names)
    assert f"as data, or data_prefix='x/{example}', or data_prefix='' to read" in str(error.value)


def test_lists_of_many_names_are_short(choose):
    names = " ".join(f"train{number} val{number}" for number in range(9))
    assert "left out: val0, val1, val2, val3, val4 and 4 more" in choose(names)[1]


def test_other_spellings_of_the_split_find_it(choose):
    for wanted in ("train", "training", "Train", "train2017"):
        assert choose("training val", wanted)[0] == ["training"]
    for wanted in ("val", "Valid", "validation"):
        assert choose("train validation", wanted)[0] == ["validation"]
    assert choose("valid val", "val")[0] == ["val"]
    assert choose("valid Val", "val")[0] == ["Val", "valid"]
    with pytest.raises(DataNotFoundError, match="no split 'images', but train, val"):
        choose("train val", "images")
    assert choose("train2017 masks", "images")[0] is None


def test_class_of_the_name_train_contains_images_alone(choose):
    for other in "bus", "train":
        own, _ = choose("bus car cat dog train", is_class=lambda name, other=other: name != other)
        assert own == ["train"]
    with pytest.raises(DataNotFoundError, match="no split 'val', but bus"):
        choose("bus car cat dog train", "val")


def test_classes_of_usual_data_sets_are_no_splits():
    categories = vars(pytest.importorskip("mmpretrain.datasets.categories"))
    found = [value for name, value in categories.items() if "_CATEGOR" in name]
    assert len(found) > 10
    for each in found:
        classes = {name.split(",")[0].replace(" ", "_").replace("/", "_") for name in each}
        assert choose_split(classes, "train", classes.__contains__, "/data") is None
        assert splits_among([f"{name}/0.png" for name in classes]) == []


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["train/0.png", *CLASSES], "train"),
        (["Training/0.png", "top.png", "bullet_train/0.png", *CLASSES], "Training"),
        (["train/0.png", *CLASSES[1:]], None),
        (["train/0.png", *CLASSES[1:], "work/deep/0.png"], None),
        (["train/0.png", *CLASSES, "dog/front/0.png"], None),
        (["train/a/0.png", *CLASSES], None),
        (["train/0.png", "train/a/0.png", *CLASSES], None),
        (["train/0.png", "val/0.png", *CLASSES], None),
        (["val/0.png", *CLASSES], None),
        *((["train/0.png", *CLASSES, f"{name}/0.png"], None) for name in ("Test1", "val_gt")),
        (["train/0.png", *CLASSES, "valley/0.png"], "train"),
        (list(CLASSES), None),
    ],
)
def test_folder_with_the_name_of_a_split_is_seldom_a_class(tmp_path, names, split):
    write_folder(tmp_path, dict.fromkeys(names, b""))
    level = split_level(names)
    found = splits.class_among(level.names, level.classes.__contains__)
    assert found == class_in_folder(tmp_path) == split
    folders = {name.partition("/")[0] for name in names if "/" in name}
    expected = folders & {"train", "val", "Test1", "val_gt"}
    assert splits_among(names) == sorted(set() if split else expected)


def test_splits_are_sought_below_shared_folders():
    assert split_level(["a/b/train/0", "a/b/val/x/0"]) == (["a", "b"], {"train", "val"}, {"train"})
    assert split_level(["train/a/val/0", "train/a/test/0"])[:2] == (["train", "a"], {"val", "test"})
    assert split_level(["x/val/a/0", "x/val/b/0"])[:2] == (["x"], {"val"})
    assert split_level(["val/train/a/0"])[:2] == (["val"], {"train"})
    assert split_level(["pre-train/a/0", "pre-train/0"])[:2] == (["pre-train"], {"a", ""})


@pytest.mark.parametrize(
    ("names", "split"),
    [
        ("train Training train2017 ILSVRC2012_img_train trainA train_images a.TRAIN", "train"),
        ("train_masks train-00000-of-00010 train_v2 DIV2K_train_HR restrain-train", "train"),
        ("val valid validation Val2014 imagenet1k-validation-00 val_256", "val"),
        ("test Test1 test_images_2 testing myTest", "test"),
        ("trainval train_val test-train restrain latest trainer value 2017 devkit", None),
        ("trains contest valley detrain attest", None),
    ],
)
def test_one_word_of_a_name_is_its_split(names, split):
    assert {name: split_in_name(name) for name in names.split()} == dict.fromkeys(
        names.split(), split
    )
    plain = {"train", "Training", "val", "valid", "validation", "test", "testing"}
    assert {name for name in names.split() if plain_split(name)} == plain & {*names.split()}


def test_hidden_and_unreadable_folders_contain_no_images(tmp_path, monkeypatch):
    hidden = (".old/0.png", "@eaDir/0.png", "ant/.0.png", "ant/0.npy")
    write_folder(tmp_path, dict.fromkeys(("train/0.png", *CLASSES[1:], *hidden), b""))
    (tmp_path / "loop").symlink_to("loop")
    assert class_in_folder(tmp_path) is None
    write_folder(tmp_path, {CLASSES[0]: b"", "train/.git/0.png": b""})
    assert class_in_folder(tmp_path) == "train"
    assert class_in_folder(tmp_path, (".npy",)) is None
    scandir = os.scandir

    def refuse(folder):
        if os.path.basename(folder) == "bus":
            raise PermissionError
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert class_in_folder(tmp_path) is None
    assert class_in_folder(tmp_path / "missing") is None


def test_usual_splits_are_found_without_opening_folders(tmp_path, monkeypatch):
    write_folder(tmp_path, dict.fromkeys(("train/0.png", "val/0.png", *CLASSES), b""))
    opened, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (opened.append(folder), scandir(folder))[1])
    assert class_in_folder(tmp_path) is None
    assert opened == [tmp_path]


def test_spellings_of_a_split_are_normalized():
    assert {normal_split(each) for each in ("train", "train/", "./train", "a/../train/.")} == {
        "train"
    }
    assert normal_split("") == normal_split(".") == ""
    assert [normal_split(each) for each in ("/data/train/", "../tars")] == [
        "/data/train",
        "../tars",
    ]
