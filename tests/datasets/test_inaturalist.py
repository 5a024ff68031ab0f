import json

import pytest
from image_folders import write_tiny_images

from mim_plugins.datasets import INaturalist
from mim_plugins.errors import DataNotFoundError
from mim_plugins.registry import DATASETS

COUNTS = {2018: 8142, 2019: 1010}


def write(root, year, split="train", categories=None, labels=(3, 0, 5)):
    """Write a tiny part of a year's data in its official layout; image ids are not positions."""
    categories = COUNTS[year] if categories is None else categories
    images = []
    for index, label in enumerate(labels):
        name = f"train_val{year}/Aves/{label}/{split}{index}.jpg"
        images.append(dict(id=100 - index, file_name=name))
    write_tiny_images(root, *(image["file_name"] for image in images))
    content = dict(
        images=images,
        # in another order than the images
        annotations=[
            dict(id=i, image_id=100 - i, category_id=labels[i])
            for i in reversed(range(len(labels)))
        ],
        # in another order than their ids
        categories=[dict(id=i, name=f"name {i}") for i in reversed(range(categories))],
    )
    (root / f"{split}{year}.json").write_text(json.dumps(content))
    return root


def labels_by_file(dataset):
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    return {info["img_path"].rpartition("/")[2]: info["gt_label"] for info in infos}


@pytest.mark.parametrize("year", COUNTS)
def test_reads_the_official_layout(tmp_path, year):
    write(tmp_path, year)

    dataset = DATASETS.build(
        dict(type="mim_plugins.INaturalist", year=year, split="train", data_root=str(tmp_path))
    )

    assert labels_by_file(dataset) == {"train0.jpg": 3, "train1.jpg": 0, "train2.jpg": 5}
    assert len(dataset.metainfo["classes"]) == COUNTS[year]
    assert dataset.metainfo["classes"][5] == "name 5"


def test_training_and_validation_are_told_apart(tmp_path):
    write(tmp_path, 2019)
    write(tmp_path, 2019, "val", labels=(7,))

    val = INaturalist(2019, "val", str(tmp_path))

    assert labels_by_file(val) == {"val0.jpg": 7}
    assert val.test_mode


@pytest.mark.parametrize(
    ("year", "count", "expected"), [(2018, 8142, "species 5"), (2019, 1, "name 5")]
)
def test_released_names_of_the_year_replace_the_obfuscated_ones(tmp_path, year, count, expected):
    write(tmp_path, year)
    names = [dict(id=i, name=f"species {i}") for i in range(count)]
    (tmp_path / "categories.json").write_text(json.dumps(names))

    assert INaturalist(year, "train", str(tmp_path)).metainfo["classes"][5] == expected


def test_annotations_of_another_year_are_refused(tmp_path):
    write(tmp_path, 2018, categories=1010)

    with pytest.raises(ValueError, match=r"train2018.json' has 1010 categories.*2018 has 8142"):
        INaturalist(2018, "train", str(tmp_path))


def test_missing_files_and_other_content_are_refused(tmp_path):
    (tmp_path / "val2019.json").write_text(json.dumps(dict(images=[], info={})))

    with pytest.raises(ValueError, match=r"val2019.json' has no annotations, categories"):
        INaturalist(2019, "val", str(tmp_path))
    with pytest.raises(
        DataNotFoundError, match=r"train2018.json'.*train_val2018.tar.gz.*--data-root"
    ):
        INaturalist(2018, "train", str(tmp_path))


def test_missing_images_are_named_with_what_to_unpack(tmp_path):
    write(tmp_path, 2019)
    (tmp_path / "train_val2019").rename(tmp_path / "elsewhere")

    with pytest.raises(DataNotFoundError, match=r"train_val2019/Aves/5/train2.jpg'.*Unpack"):
        INaturalist(2019, "train", str(tmp_path))


@pytest.mark.parametrize(
    ("year", "split", "message"),
    [(2017, "train", r"year=2017.*\[2018, 2019\]"), (2018, "test", "split='test'")],
)
def test_wrong_arguments_are_refused(year, split, message):
    with pytest.raises(ValueError, match=message):
        INaturalist(year, split)


@pytest.mark.parametrize("year", COUNTS)
def test_labels_are_the_official_category_ids(tmp_path, year):
    dataset = INaturalist(year, "train", str(write(tmp_path, year)))
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        assert info["gt_label"] == int(info["img_path"].split("/")[-2])


def test_categories_in_another_order_are_refused(tmp_path):
    file = write(tmp_path, 2019) / "train2019.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["category_id"] += 1
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"the category 6, but its folder is that of category 5"):
        INaturalist(2019, "train", str(tmp_path))
