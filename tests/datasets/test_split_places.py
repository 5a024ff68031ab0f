import os

import pytest

from mim_plugins.datasets import split_places
from mim_plugins.datasets.split_places import find_split
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def root(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("names", "split", "place"),
    [
        (["train/a/0.jpg", "train.tar", "val/a/0.jpg"], "train", "train"),
        (["train.tar", "val/a/0.jpg"], "train", ["train.tar"]),
        (["train-0.tar", "train-1.tar", "test/0.jpg"], "./train/", ["train-0.tar", "train-1.tar"]),
        (["train.tar", "0.jpg"], "train", ["train.tar"]),
        (["train/notes.txt", "train.tar", "0.jpg"], "train", ["train.tar"]),
        (["A_img_train.tar", "A_img_val.tar", "A_devkit.zip"], "train", ["A_img_train.tar"]),
        (["validation.parquet", "0.jpg"], "val", ["validation.parquet"]),
        (["images.tar", "0.jpg"], "images", ["images.tar"]),
        (["train_masks.zip", "train_annotations.zip", "images/0.jpg"], "train", "."),
        (["val.tar", "0.jpg"], "train", "."),
        (["0.tar", "0.jpg"], "train", "."),
        ([f"{name}/0.jpg" for name in ("test", *"abcd")], "train", "."),
        (["train.tar", "a/0.jpg"], "", "."),
        (["2019/0.jpg", "2020/0.jpg", "test/notes.txt"], "train", "."),
    ],
)
def test_folder_of_the_split_precedes_archives_and_the_root(root, names, split, place):
    found = find_split(root(*names), split)
    if isinstance(place, list):
        assert [os.path.basename(path) for path in found.archives] == place
    else:
        assert os.path.samefile(found.folder, os.path.join(root(), place))
        assert len(found.paths) == sum(name.endswith(".jpg") for name in names) - (place == "train")
        assert not found.split


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["train2017/0.jpg", "val2017/0.jpg", "test2017/0.jpg"], "train2017"),
        (["A/D-E/train/0.jpg", "A/D-E/val/0.jpg", "A/meta/0.xml", "a.txt"], "A/D-E/train"),
        (["training/0.jpg", "0.jpg", "train_masks/0.jpg"], "training"),
        (["A/Train_images/b/0.jpg", "A/readme.txt"], "A/Train_images"),
    ],
)
def test_folder_that_stands_for_the_split_is_read_alone(root, names, place):
    folder = root(*names)
    assert find_split(folder, "train") == (f"{folder}/{place}", [f"{folder}/{names[0]}"], "")


@pytest.mark.parametrize(
    ("names", "kept", "others"),
    [
        (["train2014/0.jpg", "train2017/0.jpg", "val2014/0.jpg"], 2, None),
        (["0.jpg", "1.jpg", "test/0.jpg"], 2, "test"),
        (["x/a/0.jpg", "x/Val_1/0.jpg", "x/exam_test/0.jpg"], 1, "x/Val_1, x/exam_test"),
    ],
)
def test_folders_of_other_splits_are_left_out(root, names, kept, others, monkeypatch):
    lines = []
    monkeypatch.setattr(split_places, "print_log", lambda text, *_: lines.append(text))
    folder = root(*names)
    found = find_split(folder, "train")
    assert found == (folder, sorted(f"{folder}/{name}" for name in names[:kept]), "train")
    left_out = [f"left out of '{folder}': folders of other splits ({others})"] if others else []
    assert lines == [*left_out, f"{kept} image{'s' * (kept > 1)} in '{folder}'"]
    assert len(find_split(folder, "").paths) == 3


@pytest.mark.parametrize(
    "others", [["val"], ["test", "val"], ["validation"], ["a/b/valid"], ["val2017"]]
)
def test_other_splits_alone_are_an_error(root, others):
    folder = root("train_notes/0.txt", "a/0.txt", *(f"{name}/0.jpg" for name in others))
    message = f"no folder '{folder}/train', but .* has other splits \\({', '.join(others)}\\): give"
    with pytest.raises(DataNotFoundError, match=message):
        find_split(folder, "train")
