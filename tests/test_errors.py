import pickle

import pytest
from torch.utils.data import DataLoader

from mim_plugins.apis import read_config
from mim_plugins.errors import (
    CheckpointError,
    ConfigError,
    CorruptImageError,
    DataNotFoundError,
    GlobalBatchError,
    NonFiniteLossError,
)


def test_it_is_a_value_error_that_names_file_cause_and_remedy(tmp_path):
    (tmp_path / "a.py").write_text("x = undefined_name\n")
    with pytest.raises(ValueError, match=r"a\.py.*'undefined_name' is not defined.*mend") as caught:
        read_config(tmp_path / "a.py")
    assert caught.type is ConfigError


def test_it_is_a_value_error_with_its_message_as_text():
    assert issubclass(CheckpointError, ValueError)
    assert str(CheckpointError("'x.pth' is empty")) == "'x.pth' is empty"


def test_is_a_file_not_found_error_that_keeps_its_message():
    with pytest.raises(FileNotFoundError, match="there is no folder 'x'") as caught:
        raise DataNotFoundError("there is no folder 'x'")

    assert str(caught.value) == "there is no folder 'x'"


def test_is_a_value_error_that_keeps_its_message():
    assert issubclass(GlobalBatchError, ValueError)
    assert str(GlobalBatchError("no batch")) == "no batch"


def test_is_no_error_of_values_that_loops_might_swallow():
    assert issubclass(NonFiniteLossError, RuntimeError)


def test_carries_path_and_kind():
    error = CorruptImageError("damaged image 'a.jpg': empty", "a.jpg", "empty")

    assert (str(error), error.path, error.kind) == (error.args[0], "a.jpg", "empty")
    assert error.kind in CorruptImageError.KINDS


def test_keeps_its_type_and_message_when_a_worker_process_hands_it_on():
    error = CorruptImageError("damaged image 'a.jpg': empty", "a.jpg", "empty")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(CorruptImageError(str(error))) == str(error)  # how a data loader rebuilds it


class Damaged:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise CorruptImageError("damaged image 'a.jpg': empty (0 bytes)", "a.jpg", "empty")


@pytest.mark.parametrize("workers", [0, 1])
def test_summary_is_one_line_with_and_without_worker_processes(workers):
    with pytest.raises(CorruptImageError) as error:
        next(iter(DataLoader(Damaged(), num_workers=workers)))
    assert error.value.summary == "damaged image 'a.jpg': empty (0 bytes)"
