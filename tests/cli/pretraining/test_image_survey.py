"""Number and sizes of images in folders."""

import os

import pytest
from band_images import write_scenes
from image_folders import write_images

from mim_plugins.cli.pretraining.image_survey import survey_images
from mim_plugins.errors import DataNotFoundError


def test_images_of_all_folders_are_counted(tmp_path):
    write_images(tmp_path / "a/x/y", 3, (48, 56))
    write_images(tmp_path / "b/train/c", 2, (70, 60))
    write_images(tmp_path / "b/val/c", 5)
    survey = survey_images([tmp_path / "a", str(tmp_path / "b")])
    assert survey == ((f"{tmp_path}/a", f"{tmp_path}/b/train"), 5, 48, None)


def test_unreadable_images_do_not_affect_the_size(tmp_path):
    write_images(tmp_path, 2, (64, 64))
    (tmp_path / "x.jpg").write_bytes(b"no image")
    assert survey_images([tmp_path]).short_side == 64


def test_bands_are_counted_and_measured(tmp_path):
    pytest.importorskip("tifffile")
    write_scenes(tmp_path, 3, bands=4)
    write_scenes(tmp_path / "more", 2, suffix=".npy", bands=4, size=(60, 48))
    survey = survey_images([tmp_path], channels=4)
    assert (survey.images, survey.short_side) == (5, 40)
    assert len(survey.statistics.mean) == 4
    for channels, message in ((3, "5 of 5 images have another number of bands"), (0, "channels=0")):
        with pytest.raises(ValueError if channels == 0 else DataNotFoundError, match=message):
            survey_images([tmp_path], channels=channels)


def test_missing_and_empty_folders_are_errors(tmp_path):
    (tmp_path / "file.txt").touch()
    (tmp_path / "none").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/x.png").touch()
    for name, message in (
        ("missing", "does not exist"),
        ("file.txt", "is not a folder"),
        ("none", "contains no images"),
        ("bad", "none of 1 images can be read"),
    ):
        with pytest.raises(DataNotFoundError, match=message):
            survey_images([tmp_path / name])


def test_folder_whose_name_is_not_utf8_is_an_error(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    with pytest.raises(DataNotFoundError, match="is not UTF-8"):
        survey_images([folder])
