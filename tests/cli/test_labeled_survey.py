"""Number of labeled images and classes."""

import pytest
from image_folders import write_classes, write_images

from mim_plugins.cli.labeled_survey import survey_labeled
from mim_plugins.errors import DataNotFoundError


def test_training_images_and_classes_are_counted(tmp_path):
    write_classes(tmp_path, images=3)
    assert survey_labeled(tmp_path) == (str(tmp_path), 9, 3)


def test_missing_folders_and_single_classes_are_errors(tmp_path):
    with pytest.raises(DataNotFoundError, match="no folder train: arrange"):
        survey_labeled(tmp_path)
    write_images(tmp_path / "train/a")
    with pytest.raises(DataNotFoundError, match="no folder val"):
        survey_labeled(tmp_path)
    write_images(tmp_path / "val/a")
    with pytest.raises(DataNotFoundError, match="1 class folders and 1 images"):
        survey_labeled(tmp_path)
