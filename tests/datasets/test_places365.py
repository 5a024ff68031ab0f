import pytest
from image_folders import write_tiny_images

from mim_plugins.datasets import Places365
from mim_plugins.errors import DataNotFoundError
from mim_plugins.registry import DATASETS


def write(root, size="small", classes=365):
    """Write a tiny part of the data in its official layout."""
    names = [f"/c/class{i}" for i in range(classes)]
    names[0], names[2] = "/a/airfield", "/f/field/wild"
    # in another order than the labels
    lines = [f"{name} {label}\n" for label, name in reversed(list(enumerate(names)))]
    (root / "categories_places365.txt").write_text("".join(lines))
    (root / "places365_train_standard.txt").write_text(
        "/a/airfield/00000001.jpg 0\n/f/field/wild/00000001.jpg 2\n"
    )
    (root / "places365_val.txt").write_text("Places365_val_00000001.jpg 2\n")
    train, val = dict(small=("data_256", "val_256"), large=("data_large", "val_large"))[size]
    names = [f"{train}/a/airfield/00000001.jpg", f"{train}/f/field/wild/00000001.jpg"]
    return write_tiny_images(root, *names, f"{val}/Places365_val_00000001.jpg")


def contents(dataset, root):
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return [(info["img_path"].removeprefix(f"{root}/"), info["gt_label"]) for info in infos]


@pytest.mark.parametrize(
    ("size", "train", "val"),
    [("small", "data_256", "val_256"), ("large", "data_large", "val_large")],
)
def test_reads_the_official_layout(tmp_path, size, train, val):
    write(tmp_path, size)
    cfg = dict(type="mim_plugins.Places365", size=size, data_root=str(tmp_path))

    training = DATASETS.build(dict(cfg, split="train"))
    validation = DATASETS.build(dict(cfg, split="val"))

    assert contents(training, tmp_path) == [
        (f"{train}/a/airfield/00000001.jpg", 0),
        (f"{train}/f/field/wild/00000001.jpg", 2),
    ]
    assert contents(validation, tmp_path) == [(f"{val}/Places365_val_00000001.jpg", 2)]
    assert (training.test_mode, validation.test_mode) == (False, True)
    classes = training.metainfo["classes"]
    assert len(classes) == 365
    assert classes[:3] == ("airfield", "class1", "field/wild")


@pytest.mark.parametrize("name", ["categories_places365.txt", "places365_train_standard.txt"])
def test_a_missing_list_is_named_with_what_to_unpack(tmp_path, name):
    (write(tmp_path) / name).unlink()

    with pytest.raises(DataNotFoundError, match=rf"{name}'.*filelist_places365-standard.tar"):
        Places365("train", data_root=str(tmp_path))


def test_images_of_the_other_size_are_not_taken(tmp_path):
    write(tmp_path, "small")

    with pytest.raises(DataNotFoundError, match=r"data_large/a/airfield.*train_large_places365"):
        Places365("train", "large", str(tmp_path))


def test_another_number_of_classes_is_refused(tmp_path):
    write(tmp_path, classes=205)

    with pytest.raises(ValueError, match="has 205 classes, but Places365 has 365"):
        Places365("train", data_root=str(tmp_path))


@pytest.mark.parametrize(
    ("line", "message"),
    [("/a/airfield/1.jpg 365", "label 365.*0 to 364"), ("/a/airfield/1.jpg", "has the line")],
)
def test_a_wrong_line_is_refused(tmp_path, line, message):
    (write(tmp_path) / "places365_train_standard.txt").write_text(f"{line}\n")

    with pytest.raises(ValueError, match=message):
        Places365("train", data_root=str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("test",), "split='test'"), (("val", "512"), r"size='512'.*small.*large")],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Places365(*arguments)


def test_lists_that_number_the_classes_differently_are_refused(tmp_path):
    file = write(tmp_path) / "places365_train_standard.txt"
    file.write_text("/a/airfield/00000001.jpg 0\n/f/field/wild/00000001.jpg 1\n")
    with pytest.raises(ValueError, match=r"label 1, but .* gives its folder the label 2"):
        Places365("train", data_root=str(tmp_path))
