import zipfile

import pytest
import torch

from mim_plugins.checkpoints import is_torchscript, read_tensors
from mim_plugins.errors import CheckpointError


def test_torchscript_archives_are_distinguished_from_weights(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "script.pt")
    torch.save({"constants.pkl": torch.ones(1)}, tmp_path / "weights.pt")
    (tmp_path / "garbage.pt").write_bytes(b"PK\x03\x04 nothing")
    assert is_torchscript(tmp_path / "script.pt")
    for name in ("weights.pt", "garbage.pt", "absent.pt"):
        assert not is_torchscript(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"script\.pt' is a TorchScript archive"):
        read_tensors(tmp_path / "script.pt")


def test_any_zip_archive_is_inspected(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("model/code/x.py", "")
    assert not is_torchscript(tmp_path / "x.zip")
