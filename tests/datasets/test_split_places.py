import os

import pytest
from archive_files import write_zip

from mim_plugins.datasets import splits
from mim_plugins.datasets.split_places import find_split
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def root(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            images = {"0.txt": b""} if "annotations" in name else {"0.jpg": b""}
            is_zip = name.endswith(".zip")
            write_zip(tmp_path / name, images) if is_zip else (tmp_path / name).touch()
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("names", "split", "place"),
    [
        (["train/a/0.jpg", "train.zip", "val/a/0.jpg"], "train", "train"),
        (["train.zip", "val/a/0.jpg"], "train", ["train.zip"]),
        (["train-0.zip", "train-1.zip", "test/0.jpg"], "./train/", ["train-0.zip", "train-1.zip"]),
        (["train.zip", "0.jpg"], "train", ["train.zip"]),
        (["train/notes.txt", "train.zip", "0.jpg"], "train", ["train.zip"]),
        (["A_img_train.zip", "A_img_val.zip", "A_devkit.zip"], "train", ["A_img_train.zip"]),
        (["validation.zip", "0.jpg"], "val", ["validation.zip"]),
        (["images.zip", "0.jpg"], "images", ["images.zip"]),
        (["Images-1.zip", "masks.zip", "0.jpg"], "images", ["Images-1.zip"]),
        (["train.zip", *(f"{name}/0.jpg" for name in "abcd")], "train", ["train.zip"]),
        (["data/train-0.zip", "data/val-0.zip"], "train", ["train-0.zip"]),
        (["Train/0.zip", "Val/0.zip", "0.txt"], "train", ["0.zip"]),
        (["train_masks.zip", "images/0.jpg"], "train", "."),
        (["train_annotations.zip", "val_annotations.zip", "images/0.jpg"], "train", "."),
        (["train2017/0.jpg", "val2017.zip", "panoptic_train2017.zip"], "train", "."),
        (["val.zip", "0.jpg"], "train", "."),
        (["0.zip", "0.jpg"], "train", "."),
        ([f"{name}/0.jpg" for name in ("bullet_train", *"abcd")], "train", "."),
        ([f"{name}/0.jpg" for name in ("train", *"abcd")], "train", "."),
        (["train.zip", "a/0.jpg"], "", "."),
        (["2019/0.jpg", "2020/0.jpg", "test/notes.txt"], "train", "."),
        (["A/Train_images/b/0.jpg", "A/readme.txt"], "train", "."),
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
        (["train2017/0.jpg", "val2017/0.jpg", "panoptic_train2017.zip"], "train2017"),
        (["A/D-E/train/0.jpg", "A/D-E/val/0.jpg", "A/meta/0.xml", "a.txt"], "A/D-E/train"),
        (["pre-train/A/train/0.jpg", "pre-train/A/val/0.jpg"], "pre-train/A/train"),
        (["speed_test/train/0.jpg", "speed_test/val/0.jpg"], "speed_test/train"),
        (["training/0.jpg", "0.jpg", "train_masks/0.jpg"], "training"),
        (["test/trainA/a/0.jpg", "test/testA/0.jpg"], "test/trainA"),
        (["val/train/a/0.jpg", "notes.txt"], "val/train"),
    ],
)
def test_folder_that_stands_for_the_split_is_read_alone(root, names, place):
    folder = root(*names)
    assert find_split(folder, "train") == (f"{folder}/{place}", [f"{folder}/{names[0]}"], "")


@pytest.mark.parametrize(
    ("names", "kept", "line"),
    [
        (["train2014/0.jpg", "train2017/0.jpg", "val2014/0.jpg"], 2,
         "train2014, train2017; left out: val2014"),
        (["x/train_1/0.jpg", "x/train_b/a/0.jpg", "x/test/0.jpg"], 2,
         "train_1, train_b; left out: test"),
        (["x/train_1/0.jpg", "x/train_2/0.jpg", "x/0.jpg", "x/val_1/0.jpg"], 2,
         "train_1, train_2; left out: other images, val_1"),
    ],
)  # fmt: skip
def test_several_folders_of_the_split_are_read(root, names, kept, line, monkeypatch):
    lines = []
    monkeypatch.setattr(splits, "print_log", lambda text, *_: lines.append(text))
    folder = root(*names)
    found = find_split(folder, "train")
    assert found == (folder, [f"{folder}/{name}" for name in names[:kept]], "train")
    assert lines == [f"'{folder}': read as train: {line}"]
    assert len(find_split(folder, "").paths) == len(names)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["A/train/0.jpg", "A/val/0.jpg", "logo.png"], "(val)"),
        (["A/train/a/0.jpg", "A/test/0.jpg", "docs/b.jpg"], "(test)"),
        (["A/train2017/0.jpg", "B/train/0.jpg", "B/Valid/0.jpg", "B/test/0.jpg"], "(Valid, test)"),
    ],
)
def test_other_splits_below_the_folders_are_a_warning(root, names, line, monkeypatch):
    lines = []
    monkeypatch.setattr(splits, "print_log", lambda text, *_: lines.append(text))
    folder = root(*names)
    assert len(find_split(folder, "train").paths) == len(names)
    assert len(lines) == 1
    assert f"other splits than train are read too {line}" in lines[0]
    find_split(folder, "")
    assert len(lines) == 1


def test_links_into_other_folders_belong_to_the_split(root):
    folder = root("pool/cat/0.jpg", "pool/dog/0.jpg", "subset_train/0.txt", "subset_val/0.txt")
    for split, name in (("train", "cat"), ("val", "dog")):
        os.symlink(f"../pool/{name}", f"{folder}/subset_{split}/{name}")
        os.symlink(f"../subset_{split}/{name}", f"{folder}/pool/{name}_again")
    found = find_split(folder, "train")
    assert found == (f"{folder}/subset_train", [f"{folder}/subset_train/cat/0.jpg"], "")
    assert find_split(found.folder, found.split) == found


@pytest.mark.parametrize(
    "others", [["val"], ["test", "val"], ["validation"], ["test_1", "val_1"], ["2019", "test"]]
)
def test_other_splits_alone_are_an_error(root, others):
    folder = root("train_notes/0.txt", "a/0.txt", *(f"{name}/0.jpg" for name in others))
    message = f"'{folder}' has no split 'train', but {', '.join(others)}: give the path"
    with pytest.raises(DataNotFoundError, match=message):
        find_split(folder, "train")
    with pytest.raises(DataNotFoundError, match="has no split 'cats'"):
        find_split(folder, "train/cats")
    folder = root("train_images.zip", "train_masks.zip")
    with pytest.raises(DataNotFoundError, match="no clear split 'train'"):
        find_split(folder, "train")
