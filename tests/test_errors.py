import pickle

import pytest
from torch.utils.data import DataLoader

from mim_plugins.apis import read_config
from mim_plugins.errors import (
    ArchiveError,
    CheckpointError,
    ConfigError,
    CorruptImageError,
    DataNotFoundError,
    GlobalBatchError,
    MissingPackageError,
    NonFiniteFeaturesError,
    NonFiniteLossError,
    UserError,
    WorkDirError,
)

BASES = {
    ArchiveError: ValueError,
    ConfigError: ValueError,
    CheckpointError: ValueError,
    CorruptImageError: ValueError,
    DataNotFoundError: FileNotFoundError,
    GlobalBatchError: ValueError,
    MissingPackageError: ImportError,
    NonFiniteFeaturesError: RuntimeError,
    NonFiniteLossError: RuntimeError,
    WorkDirError: RuntimeError,
}


@pytest.mark.parametrize(("kind", "base"), BASES.items())
def test_every_error_is_a_user_error_and_a_builtin_one(kind, base):
    assert set(UserError.__subclasses__()) == set(BASES)
    error = kind("the message")
    assert isinstance(error, UserError)
    assert isinstance(error, base)
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "the message"


def test_config_errors_name_file_cause_and_remedy(tmp_path):
    (tmp_path / "a.py").write_text("x = undefined_name\n")
    message = r"a\.py.*'undefined_name' is not defined.*correct it"
    with pytest.raises(ValueError, match=message) as caught:
        read_config(tmp_path / "a.py")
    assert caught.type is ConfigError


def test_corrupt_image_errors_contain_path_and_kind():
    error = CorruptImageError("corrupt image 'a.jpg': empty", "a.jpg", "empty")

    assert (str(error), error.path, error.kind) == (error.args[0], "a.jpg", "empty")
    assert error.kind in CorruptImageError.KINDS
    # through a worker process, after which a data loader builds the error from its text
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(CorruptImageError(str(error))) == str(error)


class Corrupt:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise CorruptImageError("corrupt image 'a.jpg': empty (0 bytes)", "a.jpg", "empty")


@pytest.mark.parametrize("workers", [0, 1])
def test_summary_is_one_line_with_and_without_worker_processes(workers):
    with pytest.raises(CorruptImageError) as error:
        next(iter(DataLoader(Corrupt(), num_workers=workers)))
    assert error.value.summary == "corrupt image 'a.jpg': empty (0 bytes)"
