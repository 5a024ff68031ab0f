import pickle

import pytest
from torch.utils.data import DataLoader

from mim_plugins.transforms import DamagedImageError


def test_carries_path_and_kind():
    error = DamagedImageError("damaged image 'a.jpg': empty", "a.jpg", "empty")

    assert (str(error), error.path, error.kind) == (error.args[0], "a.jpg", "empty")
    assert error.kind in DamagedImageError.KINDS


def test_keeps_its_type_and_message_when_a_worker_process_hands_it_on():
    error = DamagedImageError("damaged image 'a.jpg': empty", "a.jpg", "empty")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(DamagedImageError(str(error))) == str(error)  # how a data loader rebuilds it


class Damaged:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise DamagedImageError("damaged image 'a.jpg': empty (0 bytes)", "a.jpg", "empty")


@pytest.mark.parametrize("workers", [0, 1])
def test_summary_is_one_line_with_and_without_worker_processes(workers):
    with pytest.raises(DamagedImageError) as error:
        next(iter(DataLoader(Damaged(), num_workers=workers)))
    assert error.value.summary == "damaged image 'a.jpg': empty (0 bytes)"
