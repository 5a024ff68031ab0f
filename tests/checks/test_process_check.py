import pytest
from class_folders import folder_dataset
from image_folders import write_classes
from two_processes import in_two_processes

from mim_plugins.checks.process_check import check_processes
from mim_plugins.errors import ConfigError


def message_of(rank, roots):
    try:
        check_processes(dict(val_dataloader=folder_dataset(roots[rank])))
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


def test_single_process_passes(tmp_path):
    check_processes(dict(train_dataloader=folder_dataset(write_classes(tmp_path)), other=[1, 2]))
