import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mim_plugins.checkpoints import allow_mmengine_checkpoints


@pytest.fixture(autouse=True)
def _allowed():
    allow_mmengine_checkpoints()  # importing mim_plugins did, but other loaders may take it back


def test_log_buffers_and_numpy_scalars_load_with_weights_only(tmp_path):
    buffer = HistoryBuffer()
    buffer.update(2.0)
    buffer.update(4.0)
    torch.save(dict(loss=buffer, step=np.float64(3), counts=np.arange(3)), tmp_path / "x.pth")

    loaded = torch.load(tmp_path / "x.pth", weights_only=True)

    assert loaded["loss"].mean() == 3.0
    assert loaded["loss"].current() == 4.0
    assert loaded["step"] == 3
    assert loaded["counts"].tolist() == [0, 1, 2]


class Malicious:
    def __init__(self, target, arguments):
        self.target, self.arguments = target, arguments

    def __reduce__(self):
        return self.target, self.arguments


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (print, ("executed",)),
        (getattr, (HistoryBuffer, "__init__")),
        (getattr, (torch.Tensor, "numpy")),
    ],
)
def test_anything_else_is_refused(tmp_path, target, arguments, capsys):
    torch.save(Malicious(target, arguments), tmp_path / "x.pth")
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        torch.load(tmp_path / "x.pth", weights_only=True)
    assert "executed" not in capsys.readouterr().out
