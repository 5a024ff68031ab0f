import logging
import os

import numpy as np
import pytest
from image_folders import flatten_val, write_tiny_images
from mmengine.registry import DefaultScope
from PIL import Image

from mim_plugins.datasets import LabeledImageFolder, image_files
from mim_plugins.errors import DataNotFoundError
from mim_plugins.registry import DATASETS


@pytest.fixture
def root(tmp_path):
    """Two classes in train, with images at two depths, and one list."""
    names = ("train/a/0.jpg", "train/a/deep/1.png", "train/b/2.webp", "val/b/3.jpg")
    return write_tiny_images(tmp_path, *names)


def contents(dataset, root):
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(os.path.relpath(info["img_path"], root), info.get("gt_label")) for info in infos]


TRAIN = [("train/a/0.jpg", 0), ("train/a/deep/1.png", 0), ("train/b/2.webp", 1)]


@pytest.mark.parametrize(
    "arguments",
    [
        lambda root: dict(data_root=str(root), data_prefix="train"),
        lambda root: dict(data_root=str(root), data_prefix=dict(img_path="train")),
        lambda root: dict(data_root=str(root), split="train"),
        lambda root: dict(data_root=str(root / "train")),
        lambda root: dict(data_prefix=str(root / "train")),
        lambda root: dict(data_root=str(root), data_prefix="train", classes=["x", "y"]),
    ],
)
def test_reads_class_folders_however_they_are_named(root, arguments):
    dataset = LabeledImageFolder(**arguments(root))

    assert contents(dataset, root) == TRAIN
    assert dataset.get_gt_labels().tolist() == [0, 0, 1]
    assert dataset.get_cat_ids(2) == [1]
    assert dataset.metainfo["classes"] == dataset.CLASSES
    assert dataset.CLASSES in [("a", "b"), ("x", "y"), ["x", "y"]]


def test_hidden_folders_and_links_upwards_are_no_classes(root, caplog):
    write_tiny_images(root, "train/.ipynb_checkpoints/0.jpg")
    (root / "train/__MACOSX").mkdir()
    (root / "train/Again").symlink_to(".")
    (root / "train/b/up").symlink_to("..")
    os.mkfifo(root / "train/b/pipe.jpg")
    with caplog.at_level(logging.WARNING):
        dataset = LabeledImageFolder(str(root), split="train")

    assert contents(dataset, root) == TRAIN
    assert dataset.CLASSES == ("a", "b")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_reads_lists_in_any_encoding(root, encoding, end):
    lines = ["a/deep/1.png 4", "b/two words.jpg 7 ", ""]
    (root / "list.txt").write_bytes(end.join(lines).encode(encoding))

    dataset = LabeledImageFolder(str(root), data_prefix="train", ann_file="list.txt")

    expected = [("train/a/deep/1.png", 4), ("train/b/two words.jpg", 7)]
    assert contents(dataset, root) == expected


def test_a_split_has_its_list_if_there_is_one(root):
    (root / "meta").mkdir()
    (root / "meta/val.txt").write_text("b/3.jpg 5\n")

    assert contents(LabeledImageFolder(str(root), split="val"), root) == [("val/b/3.jpg", 5)]
    assert contents(LabeledImageFolder(str(root), split="train"), root) == TRAIN


@pytest.mark.parametrize("prefix", ["val", "./val/", dict(img_path="val")])
def test_flat_split_is_read_by_its_list(root, prefix):
    flatten_val(root, first=1)
    (root / "val/empty").mkdir()
    dataset = LabeledImageFolder(str(root), data_prefix=prefix)
    assert contents(dataset, root) == [("val/b_3.jpg", 1)]
    assert dataset.CLASSES is None
    write_tiny_images(root, "val/b/4.jpg")
    dataset = LabeledImageFolder(str(root), data_prefix=prefix)
    assert contents(dataset, root) == [("val/b/4.jpg", 0)]


@pytest.mark.parametrize("split", ["test", "other"])
def test_lists_of_other_folders_are_not_guessed(root, split):
    flatten_val(root)
    for path in (root / "val", root / "meta/val.txt"):
        path.rename(path.with_name(path.name.replace("val", split)))
    with pytest.raises(DataNotFoundError, match="no images in the class folders of"):
        LabeledImageFolder(str(root), data_prefix=split)


def test_images_beside_class_folders_are_a_warning(root, monkeypatch):
    lines = []
    monkeypatch.setattr(image_files, "print_log", lambda text, *_: lines.append(text))
    write_tiny_images(root, "train/montage.png", "train/a/deep/2.png")
    assert len(LabeledImageFolder(str(root), data_prefix="train")) == 4
    (line,) = lines
    assert f"1 images beside the class folders (such as '{root}/train/montage.png')" in line


def test_a_test_split_has_no_labels(root):
    (root / "val").rename(root / "test")

    dataset = LabeledImageFolder(str(root), split="test")

    assert contents(dataset, root) == [("test/b/3.jpg", None)]


def test_extensions_choose_the_files(root):
    dataset = LabeledImageFolder(str(root), split="train", extensions=(".PNG",))

    assert contents(dataset, root) == [("train/a/deep/1.png", 0)]
    assert dataset.CLASSES == ("a", "b")


def test_classes_may_stand_in_a_file(root):
    (root / "names.txt").write_bytes("\ufeffgrüne Katze\r\nHund\r\n".encode())

    dataset = LabeledImageFolder(str(root), split="train", classes=str(root / "names.txt"))

    assert dataset.CLASSES == ("grüne Katze", "Hund")


def test_class_and_file_names_of_any_bytes_are_read(root):
    folder = os.path.join(os.fsencode(root), b"train/c\xff\n")
    os.mkdir(folder)
    with open(os.path.join(folder, b"\xfe\r.jpg"), "wb"):
        pass

    dataset = LabeledImageFolder(str(root), split="train")

    path = dataset.get_data_info(3)["img_path"]
    assert os.fsencode(path) == os.path.join(folder, b"\xfe\r.jpg")
    assert dataset.CLASSES == ("a", "b", "c\udcff\n")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(split="tset"), ValueError, r"split='tset' must be one of"),
        (
            dict(split="test"),
            DataNotFoundError,
            r"has no split 'test', but train, val: give the path of one as data$",
        ),
        (
            dict(data_prefix="val/c"),
            DataNotFoundError,
            r"has no folder or archive 'val/c', but train, val: give the path",
        ),
        (dict(data_prefix="train/a/deep"), DataNotFoundError, r"no images in the class folders of"),
        (dict(split="train", ann_file="gone.txt"), DataNotFoundError, r"no list '.*gone\.txt'"),
        (dict(split="train", classes=["a"]), ValueError, r"2 class folders, but 1 class names"),
        (dict(split="train", extensions=".jpg"), ValueError, r"'\.jpg' must be a list of suffixes"),
        (dict(data_prefix=["a"]), ValueError, r"data_prefix=\['a'\] must be one path"),
    ],
)
def test_what_is_wrong_is_named(root, arguments, error, message):
    with pytest.raises(error, match=message):
        LabeledImageFolder(str(root), **arguments)


def test_no_folder_at_all_is_refused():
    with pytest.raises(ValueError, match="give data_root, data_prefix or ann_file"):
        LabeledImageFolder()


def test_mmengines_wrappers_take_it(root):
    config = dict(type="mim_plugins.LabeledImageFolder", data_root=str(root), split="train")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        balanced = DATASETS.build(
            dict(type="ClassBalancedDataset", oversample_thr=0.5, dataset=config)
        )
        joined = DATASETS.build(dict(type="ConcatDataset", datasets=[config, config]))

    assert [balanced.get_cat_ids(i) for i in range(len(balanced))].count([1]) == 2
    assert len(joined) == 6


def test_folders_are_numbered_in_a_public_mapping(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / name / "0.png")
    dataset = LabeledImageFolder(data_root=str(tmp_path), classes=("first", "second"))
    assert dataset.folder_to_idx == dict(a=0, b=1)
    assert dataset.metainfo["classes"] == ("first", "second")


@pytest.mark.parametrize("with_label", [True, False])
def test_an_empty_list_is_named(root, with_label):
    (root / "empty.txt").write_text("\n")
    with pytest.raises(DataNotFoundError, match=r"the list '.*empty.txt' contains no images"):
        LabeledImageFolder(str(root), ann_file="empty.txt", with_label=with_label)


def test_classes_in_a_pipe_are_refused(root):
    os.mkfifo(root / "names.txt")
    with pytest.raises(ValueError, match=r"names.txt' is no text file, but a folder, pipe"):
        LabeledImageFolder(str(root), split="train", classes=str(root / "names.txt"))
