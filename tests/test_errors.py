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


def test_config_errors_name_file_cause_and_remedy(tmp_path):
    (tmp_path / "a.py").write_text("x = undefined_name\n")
    with pytest.raises(ValueError, match=r"a\.py.*'undefined_name' is not defined.*mend") as caught:
        read_config(tmp_path / "a.py")
    assert caught.type is ConfigError


def test_checkpoint_errors_are_value_errors():
    assert issubclass(CheckpointError, ValueError)
    assert str(CheckpointError("'x.pth' is empty")) == "'x.pth' is empty"


def test_missing_data_raises_a_file_not_found_error():
    with pytest.raises(FileNotFoundError, match="there is no folder 'x'") as caught:
        raise DataNotFoundError("there is no folder 'x'")

    assert str(caught.value) == "there is no folder 'x'"


def test_global_batch_errors_are_value_errors():
    assert issubclass(GlobalBatchError, ValueError)
    assert str(GlobalBatchError("no batch")) == "no batch"


def test_non_finite_losses_raise_a_runtime_error():
    assert issubclass(NonFiniteLossError, RuntimeError)


def test_corrupt_image_errors_contain_path_and_kind():
    error = CorruptImageError("damaged image 'a.jpg': empty", "a.jpg", "empty")

    assert (str(error), error.path, error.kind) == (error.args[0], "a.jpg", "empty")
    assert error.kind in CorruptImageError.KINDS


def test_corrupt_image_errors_survive_a_worker_process():
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
