import pytest
from class_folders import folder_dataset
from image_folders import write_classes
from torch import nn
from two_processes import in_two_processes

from mim_plugins.algorithms import PretrainingModel
from mim_plugins.checks.process_check import check_processes
from mim_plugins.errors import ConfigError


class Classifier(nn.Module):
    """Model that uses labels."""


class BaseSelfSupervisor(nn.Module):
    """Base of mmpretrain's models for pre-training."""


class OwnPretraining(PretrainingModel):
    """Model of the package for pre-training."""

    def __init__(self):
        nn.Module.__init__(self)


def message_of(rank, roots, model=Classifier):
    try:
        check_processes(model(), dict(val_dataloader=folder_dataset(roots[rank])))
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("other", "told"),
    [("abc", ""), ("ab", "process 1 found 2:"), ("abx", "process 1 found 3 different ones:")],
)
def test_processes_with_different_classes_are_rejected(tmp_path, other, told):
    roots = [
        write_classes(tmp_path / str(rank), names) for rank, names in enumerate(["abc", other])
    ]
    codes, messages = in_two_processes(message_of, roots)
    assert codes == [0, 0]
    assert messages[0] == messages[1]
    assert told in messages[0]
    assert bool(told) == ("process 0 found 3 classes" in messages[0])


@pytest.mark.parametrize("model", [BaseSelfSupervisor, OwnPretraining])
@pytest.mark.parametrize("images", [3, 2])
def test_only_numbers_of_images_matter_in_pretraining(tmp_path, model, images):
    root = write_classes(tmp_path / "0", "abc", images=2)
    other = write_classes(tmp_path / "1", "ab", images=images)
    codes, messages = in_two_processes(message_of, [root, other], model)
    told = "val_dataloader.dataset: process 0 found 6 images, and process 1 found 4: epochs would"
    assert codes == [0, 0]
    assert messages[0] == messages[1]
    assert messages[0].startswith(told) == bool(messages[0]) == (images == 2)


def test_single_process_passes(tmp_path):
    check_processes(
        Classifier(), dict(train_dataloader=folder_dataset(write_classes(tmp_path)), other=[1, 2])
    )
