"""Splits, and classes with the name of a split."""

import os

import pytest
from packs import write_folder

from mim_plugins.datasets.splits import (
    class_in_folder,
    class_of_paths,
    normal_split,
    split_in_name,
    splits_among,
)

CLASSES = ("bus/0.png", "car/0.png", "cat/0.png", "dog/0.png")


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (["train/0.png", *CLASSES], "train"),
        (["val/0.png", "top.png", *CLASSES, "dog/front/0.png"], "val"),
        (["train/0.png", *CLASSES[1:]], None),
        (["train/0.png", *CLASSES[1:], "work/deep/0.png"], None),
        (["train/a/0.png", *CLASSES], None),
        (["train/0.png", "train/a/0.png", *CLASSES], None),
        (["train/0.png", "val/0.png", *CLASSES], None),
        (["val/0.png", "validation/0.png", *CLASSES], None),
        *(
            (["train/0.png", *CLASSES, f"{name}/0.png"], None)
            for name in ("train_masks", "Test1", "valid2", "val_gt", "dev-kit", "eval", "work_dirs")
        ),
        (list(CLASSES), None),
        ([], None),
    ],
)
def test_folder_with_the_name_of_a_split_is_seldom_a_class(tmp_path, names, split):
    write_folder(tmp_path, dict.fromkeys(names, b""))
    assert class_of_paths(names) == class_in_folder(tmp_path) == split
    folders = {name.partition("/")[0] for name in names if "/" in name}
    splits = sorted(folders & {"train", "val", "validation", "Test1", "valid2"})
    assert splits_among(names) == ([] if split else splits)


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (
            "train Training train2017 ILSVRC2012_img_train imagenet1k-train-0000 train_images",
            "train",
        ),
        ("train-00000-of-00010 train_0 train-00000-of-00001-1ef34d1ffd9d2c4f a.TRAIN", "train"),
        ("val valid validation Val2014 val_1 imagenet1k-validation-00 val_256", "val"),
        ("test Test1 test_images_2 test-image imgs_test2017", "test"),
        ("train_masks train_annotations trainval train_val test-train restrain latest", None),
        ("trainer value 2017 devkit train_256_standard trains testing contest", None),
        (".train. train- of-2 train-x-of-2 train1x", None),
    ],
)
def test_last_word_of_a_name_is_its_split(names, split):
    assert {name: split_in_name(name) for name in names.split()} == dict.fromkeys(
        names.split(), split
    )


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
    assert opened == [str(tmp_path)]


def test_spellings_of_a_split_are_normalized():
    assert {normal_split(each) for each in ("train", "train/", "./train", "a/../train/.")} == {
        "train"
    }
    assert normal_split("") == normal_split(".") == ""
    assert [normal_split(each) for each in ("/data/train/", "../tars")] == [
        "/data/train",
        "../tars",
    ]
