"""Folders and archives of a split in a data root."""

import os

import pytest
from archive_files import write_zip

from mim_plugins.datasets import splits
from mim_plugins.datasets.split_places import find_split
from mim_plugins.errors import DataNotFoundError, SplitError

CLASSES = [f"{name}/0.jpg" for name in ("bus", "car", "cat", "dog", "train")]


@pytest.fixture
def root(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            is_zip = name.endswith(".zip")
            write_zip(tmp_path / name, {"0.jpg": b""}) if is_zip else (tmp_path / name).touch()
        return str(tmp_path)

    return make


@pytest.fixture
def lines(monkeypatch):
    found = []
    monkeypatch.setattr(splits, "print_log", lambda text, *_: found.append(text))
    return found


@pytest.mark.parametrize(
    ("names", "split", "found"),
    [
        # the folder precedes archives, these their shards, and all of them other images
        (["train/a/0.jpg", "train.zip", "val/a/0.jpg"], "./train/", "train/a/0.jpg"),
        (["train/0.csv", "train.zip", "train-0.zip", "val/a/0.jpg"], "train", "train.zip"),
        (["train-0.zip", "train-1.zip", "val/0.jpg"], "train", "train-0.zip train-1.zip"),
        (["Train/0.zip", "Train/1.zip", "val.zip", "0.txt"], "train", "Train/0.zip Train/1.zip"),
        (["train.zip", "train2017/0.jpg", "0.jpg"], "train", "train.zip"),
        (["train2017/0.jpg", "train2017.zip", "val2017/0.jpg"], "train", "train2017/0.jpg"),
        (["x-train-0.zip", "x-train-1.zip", "x-val-0.zip"], "train",
         "x-train-0.zip x-train-1.zip"),
        (["train/0.jpg", "Training/0.jpg"], "train", "train/0.jpg"),
        (["train/data.mdb", "val/data.mdb"], "train", "train"),
        # in folders that all images share, or all archives
        (["A/D-E/train/0.jpg", "A/D-E/val/0.jpg", "A/meta/0.xml"], "train", "A/D-E/train/0.jpg"),
        (["data/train-0-of-1.zip", "data/test-0-of-1.zip"], "train", "data/train-0-of-1.zip"),
        (["a/b/Valid.zip", "a/b/train.zip"], "val", "a/b/Valid.zip"),
        # other names are given exactly
        (["images/a/0.jpg", "masks/0.jpg"], "images", "images/a/0.jpg"),
        (["a/imgs/train/0.jpg", "a/mask/train/0.jpg"], "imgs/training", "a/imgs/train/0.jpg"),
        (["train_images.zip", "train_images_masks.zip"], "train_images", "train_images.zip"),
        (["xtrain-0.zip", "xtrain-1.zip", "xval-0.zip"], "xtrain", "xtrain-0.zip xtrain-1.zip"),
        (["xtrain-0.zip", "xtrain-1.zip", "xval-0.zip"], "xt*.zip", "xtrain-0.zip xtrain-1.zip"),
        # beside stray images
        (["logo.jpg", "train-0.zip", "val-0.zip"], "train", "train-0.zip"),
        (["assets/0.jpg", "data/train-0.zip", "data/val-0.zip"], "train", "data/train-0.zip"),
        # classes, and everything without other splits
        ([*CLASSES, "val/0.jpg"], "train", "train/0.jpg"),
        (CLASSES, "", " ".join(CLASSES)),
        (["2019/0.jpg", "2020/0.jpg", "test/0.txt"], "train", "2019/0.jpg 2020/0.jpg"),
        (["a/0.zip", "b/c/1.zip"], "train", "a/0.zip b/c/1.zip"),
        (["train.zip", "val/0.zip"], "", "train.zip val/0.zip"),
    ],
)  # fmt: skip
def test_exact_names_or_else_everything_is_read(root, names, split, found):
    folder = root(*names)
    place = find_split(folder, split)
    paths = place.paths if hasattr(place, "paths") else place.archives
    assert [os.path.relpath(path, folder) for path in paths] == found.split()


@pytest.mark.parametrize(
    ("names", "split", "message"),
    [
        (CLASSES, "train", "'train' may be the split, or a class such as bus, car, cat, dog"),
        ([f"{name[:-6]}.zip" for name in CLASSES], "train", "may be the split, or a class"),
        (["train_0/0.jpg", "train_1/0.jpg", "val/0.jpg"], "train", "no shards: train_0, train_1"),
        (["train2014/0.jpg", "train2017/0.jpg"], "train", "no shards: train2014, train2017"),
        (["Train/0.jpg", "training/0.jpg"], "train", "no shards: Train, training"),
        (["train_224.zip", "train_288.zip"], "train", "no shards: train_224, train_288"),
        (["A/train/0.jpg", "A/val/0.jpg", "0.jpg"], "train", "but A/train, A/val"),
        (["x_train.zip", "y/val/0.jpg"], "train", "but x_train.zip, y/val"),
        (["val/0.jpg", "a/0.jpg"], "train", "no split 'train', but val"),
        (["a/0.jpg", "0.jpg"], "imagse", "has no folder or archive 'imagse', but a: give"),
        (["a/0.jpg"], "/none/train", "has no folder or archive '/none/train', but a: give"),
    ],
)
def test_names_that_are_not_clear_are_an_error(root, names, split, message):
    with pytest.raises(SplitError, match=message) as caught:
        find_split(root(*names), split)
    assert "\n" not in str(caught.value)


def test_folder_of_a_split_without_images_is_an_error(root):
    folder = root("train/0.txt", "photos/0.jpg")
    with pytest.raises(DataNotFoundError, match="train' contains no images"):
        find_split(folder, "train")


def test_few_images_beside_archives_are_an_error(root):
    folder = root("logo.png", "0.zip")
    for split in ("train", ""):
        with pytest.raises(
            DataNotFoundError, match=r"has 1 image such as '.*logo.png', and 1 arch"
        ):
            find_split(folder, split)
    root(*(f"{number}.jpg" for number in range(10)))
    assert len(find_split(folder, "train").paths) == 11


@pytest.mark.parametrize("top", ["", "a/"])
def test_data_that_are_not_read_are_a_warning(root, lines, top):
    names = ("train/0.jpg", "val/0.jpg", "train_x/b/c/0.jpg", "x.zip", "notes/0.txt", ".b/0.jpg")
    folder = root(*(top + name for name in names))
    assert len(find_split(folder, "train").paths) == 1
    assert lines == [f"'{folder}': not read beside train: train_x, x"]
    find_split(folder, "train_x")
    assert len(lines) == 1  # a name that is given as such


def test_usual_splits_are_found_without_listing_others(root, monkeypatch):
    folder = root("train/a/0.jpg", "val/a/0.jpg", "test/0.jpg")
    opened, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (opened.append(path), scandir(path))[1])
    find_split(folder, "train")
    assert [os.path.relpath(path, folder) for path in opened] == ["train", "train/a"]


def test_links_into_other_folders_belong_to_the_split(root):
    folder = root("pool/cat/0.jpg", "pool/dog/0.jpg", "x/train_1/0.txt", "x/val_1/0.txt")
    for split, name in (("train", "cat"), ("val", "dog")):
        os.symlink(f"../../pool/{name}", f"{folder}/x/{split}_1/{name}")
    found = find_split(f"{folder}/x", "train")
    assert found == ([f"{folder}/x/train_1"], [f"{folder}/x/train_1/cat/0.jpg"])


def test_number_of_images_in_each_folder_is_logged(root, monkeypatch):
    lines = []
    monkeypatch.setattr(
        "mim_plugins.datasets.split_places.print_log", lambda x, *_: lines.append(x)
    )
    folder = root("a/b/0.jpg", "a/b/1.jpg", "a/c/d/0.jpg", "a/0.jpg")
    find_split(folder, "train")
    assert lines == [f"4 images in '{folder}': . 1, b 2, c 1"]
