"""Names that are splits, those that only look like some, and choices among them."""

import pytest

from mim_plugins.datasets import splits
from mim_plugins.datasets.splits import (
    are_shards,
    check_choice,
    choose_split,
    names_of_split,
    normal_split,
    outline,
    plain_split,
    refuse_splits,
    similar_split,
    split_of,
)
from mim_plugins.errors import SplitError


@pytest.mark.parametrize(
    ("names", "plain", "exact", "similar"),
    [
        ("train Training TRAIN", "train", "train", "train"),
        ("val valid Validation", "val", "val", "val"),
        ("test Testing", "test", "test", "test"),
        ("train-0 train_00 train.2017 train2014 train-00-of-10 training-0-of-2-1ef34d1f",
         None, "train", "train"),
        ("ILSVRC2012_img_train trainA imagesTr trainset trainval train_224x224 a.train train-x-0",
         None, None, "train"),
        ("dev eval holdout labelsVa valset myVal evaluation_1", None, None, "val"),
        ("imagesTs testset crash_test my-test-set", None, None, "test"),
        ("train_val test-train", None, None, "+"),
        ("trains latest contest valley VOCdevkit device trainer tr ts va evals 2017", None, None,
         None),
    ],
)  # fmt: skip
def test_names_are_splits_or_look_like_some(names, plain, exact, similar):
    for name in names.split():
        assert (plain_split(name), split_of(name)) == (plain, exact), name
        found = similar_split(name)
        assert "+" in found if similar == "+" else found == similar, name


def test_exact_names_are_those_of_the_split_in_any_spelling():
    names = ["train", "Training", "val-0", "Valid", "train-0", "images", "Images_1", "images_x"]
    for wanted, exact, numbered in (
        ("train", ["train"], ["train"]),
        ("TRAIN", ["Training", "train"], ["Training", "train", "train-0"]),
        ("validation", ["Valid"], ["Valid", "val-0"]),
        ("train-0", ["train-0"], ["train-0"]),
        ("images", ["images"], ["images"]),
        ("IMAGES", ["images"], ["Images_1", "images"]),
        ("test", [], []),
    ):
        assert names_of_split(names, wanted, exact=True) == exact
        assert names_of_split(names, wanted, exact=False) == numbered


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("train-0 train-1 train-2", True),
        ("train_09 train_10", True),
        ("train-00000-of-00003-1ef34d1ffd9d2c4f train-00002-of-00003-00aa34d1ffd9d2c4", True),
        ("data/part0 data/part1", True),
        ("train2017", True),
        ("train2014 train2017", False),
        ("train_224 train_288", False),
        ("train-0-of-2 train-1-of-3", False),
        ("train-0 train_0", False),
        ("train-0 training-1", False),
        ("train train-1", False),
        ("cat dog", False),
    ],
)
def test_shards_have_consecutive_numbers_or_the_same_total(names, expected):
    assert are_shards(names.split()) == expected


def test_split_is_sought_in_the_folders_that_all_images_share():
    paths = outline(["a/b/train/x/0.png", "a/b/train/1.png", "a/b/val/1.png"])
    assert choose_split(paths, "train", exact=True) == ("a/b/", ["train"], {"val"})
    assert choose_split(paths, "b/train", exact=True).prefixes == ["a/b/train/"]
    assert choose_split(paths, "a/b", exact=True).prefixes == ["a/b/"]
    assert choose_split(paths, "a/train", exact=True) is None
    assert choose_split([*paths, "c/0"], "train", exact=True) is None
    assert choose_split([], "train", exact=True) is None


def check(names, wanted="train", paths=()):
    paths = [*paths, *(f"{name}/0" for name in names.split())]
    check_choice(choose_split(paths, wanted, exact=False), paths, [], wanted, "/data")


def test_unclear_choices_are_an_error():
    with pytest.raises(
        SplitError, match=r"'/data' has several 'train', which are no shards: train"
    ):
        check("train2014 train2017 val2017")
    for names in ("bus car cat dog train", "bus car cat Test_drive train"):
        with pytest.raises(SplitError, match="'train' may be the split, or a class such as"):
            check(names)
        check(f"{names} test")
        check(names, paths=["train/deep/0"])
        check(f"{names} test".replace("train", "train2017"))
    for names in ("train_0 train_1 val", "train2017 photos", "train_0 train_a val", "train-0 0"):
        with pytest.raises(SplitError, match=r"no shards|may be a part of 'train'"):
            check(names)
    check("train2017 photos", "train2017")


def test_what_is_not_read_is_a_warning(monkeypatch):
    lines = []
    monkeypatch.setattr(splits, "print_log", lambda text, *_: lines.append(text))
    check("train val test2017 imagesTs eval")
    check("images masks", "images")
    assert lines == []
    check("train train2017 train_masks extra val", paths=["0", "x/y/0"])
    assert lines == [
        "'/data': not read beside train: other images, extra, train2017, train_masks, x",
    ]


def refuse(names, wanted="train", archives=""):
    images = [f"{name}/0" for name in names.split()]
    refuse_splits(images, archives.split(), wanted, "/data")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("train_images val_images x", "train"),
        ("test2007 trainval", "train"),
        ("imagesTr imagesTs", "train"),
        ("b/holdout a/x/training_data", "train"),
        ("val", "train"),
        ("x/val2017", "train"),
        ("train", "val"),
        ("train_val train_x", "train"),
    ],
)
def test_names_that_look_like_other_splits_are_an_error(names, wanted):
    found = ", ".join(name for name in names.split() if similar_split(name.rpartition("/")[2]))
    with pytest.raises(SplitError, match=f"'/data' has no split '{wanted}', but {found}: give"):
        refuse(names, wanted)


def test_names_of_one_kind_may_be_read_together():
    for names in ("train_images train_masks", "bullet_train a", "2016 2017", "train_val a", ""):
        refuse(names)
    refuse("train2017", "train")
    with pytest.raises(
        SplitError, match="'/data' has no folder or archive 'images', but a, b, c: give the path of"
    ):
        refuse("b/x a", "images", "c/.tar")


def test_classes_of_usual_data_sets_are_no_splits():
    categories = vars(pytest.importorskip("mmpretrain.datasets.categories"))
    found = [value for name, value in categories.items() if "_CATEGOR" in name]
    assert len(found) > 10
    for each in found:
        refuse(" ".join(n.split(",")[0].replace(" ", "_").replace("/", "_") for n in each))


def test_errors_list_the_choices_and_suggest_none():
    with pytest.raises(SplitError) as caught:
        refuse("", archives="d/x-train-0/.tar d/x-train-1/.tar d/x-val-0/.tar")
    assert str(caught.value).endswith(
        "but d/x-train-*.tar, d/x-val-0.tar: give the path of one as data"
    )


def test_spellings_of_a_folder_are_normalized():
    for name in ("train", "train/", "./train", "a/../train/."):
        assert normal_split(name) == "train"
    assert normal_split("") == normal_split(".") == ""
    assert normal_split("/data/train/") == "/data/train"
