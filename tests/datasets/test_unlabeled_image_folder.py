import os
from functools import partial

import pytest
from image_files import corrupt_files
from image_folders import write_tiny_images
from mmengine.registry import DefaultScope

from mim_plugins.datasets import UnlabeledImageFolder, replacement_index
from mim_plugins.errors import CorruptImageError, DataNotFoundError, SplitError
from mim_plugins.registry import DATASETS


@pytest.fixture
def make(tmp_path):
    return partial(write_tiny_images, tmp_path)


def names_in(dataset, root):
    paths = [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]
    assert all(os.path.isfile(path) for path in paths)
    return [os.path.relpath(path, root) for path in paths]


@pytest.mark.parametrize(
    "names",
    [
        ["1.png", "2.png"],
        ["cat/1.png", "dog/1.png"],
        ["a/b/c/1.png", "a/b/2.png", "a/3.png"],
    ],
    ids=["flat", "classes", "nested"],
)
def test_reads_all_images_of_a_folder_of_any_depth(make, names):
    root = make(*names)

    assert sorted(names_in(UnlabeledImageFolder(str(root)), root)) == sorted(names)


def test_sub_folder_that_may_be_a_class_is_an_error(make):
    root = make(*(f"{name}/1.png" for name in ("bus", "car", "cat", "dog", "train")))
    (root / "list.txt").write_text("1.png")
    with pytest.raises(SplitError, match=r"may be .* a class .*; data_prefix='' reads all \(--cfg"):
        UnlabeledImageFolder(str(root), data_prefix="./train")
    assert len(UnlabeledImageFolder(str(root))) == 5
    assert len(UnlabeledImageFolder(str(root), data_prefix="train", ann_file="list.txt")) == 1
    make("val/1.png")
    assert len(UnlabeledImageFolder(str(root), data_prefix="train")) == 1


def test_prefers_the_sub_folder_of_the_recipe(make):
    root = make("train/cat/1.png", "val/cat/2.png", "3.png")

    dataset = UnlabeledImageFolder(str(root), data_prefix=dict(img_path="train"))

    assert names_in(dataset, root) == ["train/cat/1.png"]


def test_reads_the_folder_itself_if_it_has_no_splits(make):
    root = make("cat/1.png", "2.png")

    dataset = UnlabeledImageFolder(str(root), data_prefix="train")

    assert sorted(names_in(dataset, root)) == ["2.png", "cat/1.png"]


def test_finds_images_by_suffix_in_upper_or_lower_case(make):
    images = ["1.JPEG", "2.jpg", "3.webp", "4.PNG", "5.bmp", "6.tif", "7.ppm", "8.gif"]
    root = make(*images)
    for other in ("notes.txt", "labels.json", "jpg", "9.jpg.part"):
        (root / other).write_text("no image")

    assert names_in(UnlabeledImageFolder(str(root)), root) == images


def test_order_is_sorted_whatever_the_file_system_says(make, monkeypatch):
    names = ["b/2.png", "a/1.png", "c/3.png", "a/0.png"]
    root = make(*names)
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda *args, **kwargs: reversed(list(walk(*args, **kwargs))))

    assert names_in(UnlabeledImageFolder(str(root)), root) == sorted(names)


def test_follows_linked_folders(make, tmp_path_factory):
    elsewhere = write_tiny_images(tmp_path_factory.mktemp("elsewhere"), "1.png")
    root = make("2.png")
    (root / "linked").symlink_to(elsewhere)

    assert names_in(UnlabeledImageFolder(str(root)), root) == ["2.png", "linked/1.png"]


@pytest.mark.parametrize("line", ["{}", "{} 7", "{}\t7", "  {}  ", "{} -1"])
@pytest.mark.parametrize("name", ["cat/1.png", "a folder/an image.JPEG"])
def test_reads_an_annotation_file_with_or_without_labels(make, name, line):
    root = make(f"train/{name}", "train/not listed.png")
    (root / "list.txt").write_text(f"\n{line.format(name)}\n\n")

    dataset = UnlabeledImageFolder(str(root), ann_file="list.txt", data_prefix="train")

    assert names_in(dataset, root) == [f"train/{name}"]


def test_items_go_through_the_pipeline(make):
    root = make("1.png")

    dataset = UnlabeledImageFolder(str(root), pipeline=[lambda item: item["img_path"]])

    assert dataset[0] == str(root / "1.png")


def test_some_indices_can_be_chosen_in_a_config(make):
    root = make("1.png", "2.png", "3.png")
    config = dict(type="mim_plugins.UnlabeledImageFolder", data_root=str(root), indices=2)

    assert names_in(DATASETS.build(config), root) == ["1.png", "2.png"]


def test_a_home_folder_may_be_abbreviated(make, monkeypatch):
    root = make("data/1.png")
    monkeypatch.setenv("HOME", str(root))

    assert len(UnlabeledImageFolder("~/data")) == 1


@pytest.mark.parametrize(
    ("names", "listed", "arguments", "message"),
    [
        ([], None, dict(data_prefix="train"), r"no folder '.*nowhere'.*--data-root"),
        (["val/cat/1.png"], None, dict(data_prefix="train"), "has no split 'train', but val: g"),
        (["validation/1.png", "test2017/1.png"], None, dict(data_prefix="train"),
         "has no split 'train', but test2017, validation: give"),
        ([], "no image", {}, r"no images in '.*'.*\.jpeg.*--data-root"),
        (["1.png"], None, dict(ann_file="list.txt"), r"no annotation file '.*list\.txt'"),
        (["1.png"], "train/1.png 0\n", dict(ann_file="list.txt"),
         r"list\.txt' lists '.*train/1\.png'.*relative to"),
        (["1.png"], "\n", dict(ann_file="list.txt"), "no images"),
    ],
)  # fmt: skip
def test_missing_folders_lists_and_images_are_named(make, names, listed, arguments, message):
    root = make(*names)
    if listed is not None:
        (root / "list.txt").write_text(listed)
    given = root if names or listed else root / "nowhere"
    with pytest.raises(DataNotFoundError, match=message):
        UnlabeledImageFolder(str(given), **arguments)


PIPELINE = [dict(type="mim_plugins.LoadImage"), dict(type="PackInputs")]


@pytest.fixture
def corrupt_root(make):
    root = make("0.png", "2.png", "3.png")
    (root / "1.jpg").write_bytes(corrupt_files()["half.jpg"][0])
    return root


@pytest.fixture
def _mmpretrain_scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.mark.usefixtures("_mmpretrain_scope")
def test_a_corrupt_image_is_replaced_and_recorded_if_asked_for(corrupt_root):
    dataset = UnlabeledImageFolder(str(corrupt_root), on_corrupt="replace", pipeline=PIPELINE)

    sample = dataset[1]["data_samples"]

    other = dataset.get_data_info(replacement_index(1, 1, 4))["img_path"]
    assert sample.img_path == other
    assert list(sample.corrupt_images) == [str(corrupt_root / "1.jpg")]


@pytest.mark.usefixtures("_mmpretrain_scope")
@pytest.mark.parametrize(
    "options", [dict(), dict(on_corrupt="stop"), dict(on_corrupt="replace", test_mode=True)]
)
def test_a_corrupt_image_stops_otherwise_and_in_tests(corrupt_root, options):
    dataset = UnlabeledImageFolder(str(corrupt_root), pipeline=PIPELINE, **options)

    with pytest.raises(CorruptImageError, match=r"1\.jpg': truncated"):
        dataset[1]


GRAY = [
    dict(type="mmpretrain.LoadImageFromFile", color_type="grayscale"),
    dict(type="mmpretrain.RandomResizedCrop", scale=16),
    dict(type="mim_plugins.PackInputs"),
]


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_other_loading_transforms_meet_corrupt_images_too(make, content):
    root = make("0.png", "1.png", "2.png", "3.png")
    dataset = UnlabeledImageFolder(str(root), on_corrupt="replace", pipeline=GRAY)
    (root / "1.png").unlink() if content is None else (root / "1.png").write_bytes(content)
    sample = dataset[1]
    assert sample["inputs"].shape == (1, 16, 16)
    assert list(sample["data_samples"].corrupt_images) == [str(root / "1.png")]
    dataset.on_corrupt = "stop"
    with pytest.raises(CorruptImageError, match=r"corrupt image '.*1\.png': (missing|empty|not)"):
        dataset[1]


def test_error_of_a_transform_is_no_corrupt_image(make):
    def fail(results):
        raise KeyError("img")

    dataset = UnlabeledImageFolder(str(make("0.png")), on_corrupt="replace", pipeline=[fail])
    with pytest.raises(KeyError, match="img"):
        dataset[0]


def test_another_choice_of_on_corrupt_is_refused(make):
    with pytest.raises(ValueError, match="on_corrupt='skip' must be one of"):
        UnlabeledImageFolder(str(make("1.png")), on_corrupt="skip")
