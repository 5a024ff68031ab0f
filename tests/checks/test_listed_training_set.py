"""Class folders in validation, and a training set whose labels come from a list."""

import pytest
from class_folders import classifier, folder_dataset
from image_folders import write_classes
from mmengine.dataset import ConcatDataset, RepeatDataset

from mim_plugins.checks.label_check import check_labels
from mim_plugins.errors import ConfigError

WRAPS = dict(
    plain=lambda part: part,
    repeated=lambda part: RepeatDataset(part, 2),
    parts=lambda part: ConcatDataset([part, part]),
)


@pytest.fixture
def train(tmp_path):
    write_classes(tmp_path, "abc", "ac")
    lines = (f"{name}/00.png {label}\n" for label, name in enumerate("abc"))
    (tmp_path / "list.txt").write_text("".join(lines))
    return lambda **settings: folder_dataset(tmp_path, "train", ann_file="list.txt", **settings)


@pytest.mark.parametrize("loader", ["val", "test"])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_validation_folders_without_a_class_are_rejected(tmp_path, train, loader, wrap):
    datasets = dict(train_dataloader=wrap(train()))
    datasets[f"{loader}_dataloader"] = wrap(folder_dataset(tmp_path, "val"))
    with pytest.raises(ConfigError, match=rf"^{loader}_dataloader.*2 classes.*other classes"):
        check_labels(classifier(3), datasets, {})


def test_training_set_with_class_names_is_compared_by_them(tmp_path, train):
    val = folder_dataset(tmp_path, "val")
    datasets = dict(train_dataloader=train(classes=list("abc")), val_dataloader=val)
    with pytest.raises(ConfigError, match="without 'b'"):
        check_labels(classifier(3), datasets, {})


def test_validation_folders_of_all_classes_pass(tmp_path, train):
    datasets = dict(train_dataloader=train(), val_dataloader=folder_dataset(tmp_path, "train"))
    assert check_labels(classifier(3), datasets, {}) == []
