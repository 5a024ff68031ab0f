"""Number of labeled images and classes."""

import numpy as np
import pytest
from archive_files import FORMATS, TREES, class_files, write_archive, write_parquet
from image_folders import flatten_val, write_classes, write_images
from remote_data import fake_hub

from mim_plugins.cli.labeled_survey import survey_labeled
from mim_plugins.datasets.image_files import BAND_SUFFIXES
from mim_plugins.errors import DataNotFoundError


def test_training_images_and_classes_are_counted(tmp_path):
    write_classes(tmp_path, images=3)
    assert survey_labeled(tmp_path) == (str(tmp_path), 9, 3)


def test_flat_validation_images_have_a_list(tmp_path):
    flatten_val(write_classes(tmp_path, images=3))
    assert survey_labeled(tmp_path) == (str(tmp_path), 9, 3)
    (tmp_path / "meta/val.txt").unlink()
    with pytest.raises(DataNotFoundError, match=r"no images in the class folders of '.*val'"):
        survey_labeled(tmp_path)


@pytest.mark.parametrize("kind", TREES)
def test_archives_contain_both_splits(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    write_archive(path, class_files("train", "abc") | class_files("val", "abc"), kind)
    assert survey_labeled(path) == (str(path), 6, 3)


def test_archive_without_a_split_is_an_error(tmp_path):
    path = write_archive(tmp_path / "a.tar", class_files("train"), "tar")
    with pytest.raises(DataNotFoundError, match="no split 'val', but train"):
        survey_labeled(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_folders_contain_an_archive_of_each_split(tmp_path, kind):
    suffix = "" if kind == "hf" else f".{kind}"
    for split in ("train", "val"):
        write_archive(tmp_path / f"{split}{suffix}", class_files(classes="abc"), kind)
    assert survey_labeled(tmp_path) == (str(tmp_path), 6, 3)


def test_data_of_the_hub_contain_both_splits(tmp_path, monkeypatch):
    fake_hub(monkeypatch, tmp_path, train=class_files(classes="abc"), validation=class_files())
    assert survey_labeled("hf://user/name") == ("hf://user/name", 6, 3)
    for own in ("train", "val"):
        with pytest.raises(DataNotFoundError, match=f"is the split '{own}' alone"):
            survey_labeled(f"hf://user/name#{own}")


def test_missing_folders_and_single_classes_are_errors(tmp_path):
    with pytest.raises(DataNotFoundError, match="has no folder 'train': arrange"):
        survey_labeled(tmp_path)
    write_images(tmp_path / "train/a")
    with pytest.raises(DataNotFoundError, match="has no split 'val', but train: arrange"):
        survey_labeled(tmp_path)
    write_images(tmp_path / "val/a")
    with pytest.raises(DataNotFoundError, match="1 class in train, with 1 images"):
        survey_labeled(tmp_path)


def test_labels_that_are_no_numbers_of_classes_are_an_error(tmp_path):
    for split in ("train", "val"):
        files = class_files(images=2)
        write_parquet(tmp_path / f"{split}.parquet", files, labels=[0, 1, 2, 1440764], names=False)
    with pytest.raises(DataNotFoundError, match="labels up to 1440764, but 4 images in train"):
        survey_labeled(tmp_path)


def test_both_splits_may_contain_files_of_bands(tmp_path):
    for split in ("train", "val"):
        for name in "ab":
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            np.save(folder / "1.npy", np.zeros((4, 4, 4), np.float32))
    assert survey_labeled(tmp_path, BAND_SUFFIXES) == (str(tmp_path), 2, 2)


def test_each_split_is_logged_once(tmp_path, monkeypatch):
    lines = []
    for module in ("splits", "archive_images"):
        monkeypatch.setattr(
            f"mim_plugins.datasets.{module}.print_log", lambda x, *_: lines.append(x)
        )
    for split in ("train-0", "validation-0", "extra"):
        write_archive(tmp_path / f"data/{split}.tar", class_files(), "tar")
    assert survey_labeled(tmp_path).images == 4
    assert len(lines) == len({*lines}) == 4
