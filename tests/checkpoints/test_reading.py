import argparse
import os

import numpy as np
import pytest
import torch

from mim_plugins.checkpoints import read_reference, read_tensors

WEIGHT = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "content",
    [
        {"a": WEIGHT},
        {"model": {"a": WEIGHT}, "epoch": 3, "args": argparse.Namespace(lr=1e-3)},
        {"state_dict": {"module.a": WEIGHT}, "meta": {"model": {"x": 1}}},
    ],
)
def test_weights_are_found_where_training_scripts_put_them(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    tensors = read_tensors(tmp_path / "x.pth")
    assert list(tensors) == ["a"]
    assert torch.equal(tensors["a"], WEIGHT)


def test_safetensors_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({"a": WEIGHT}, tmp_path / "x.safetensors")
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")["a"], WEIGHT)


def test_reference_groups_its_entries(tmp_path):
    np.savez(tmp_path / "x.npz", **{"param/a": WEIGHT.numpy(), "config": "{}", "loss": 1.5})
    reference = read_reference(tmp_path / "x.npz")
    assert reference["config"] == "{}"
    assert reference["loss"].item() == 1.5
    assert torch.equal(reference["param"]["a"], WEIGHT)
    assert torch.equal(read_tensors(tmp_path / "x.npz")["a"], WEIGHT)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        read_tensors(tmp_path / "nothing.pth")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_truncated_file_is_named(tmp_path, share):
    file = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1000)}, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r"x\.pth.*damaged"):
        read_tensors(file)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"a": WEIGHT}, "args": Malicious()}, "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth.*more than weights"):
        read_tensors("x.pth")
    assert not os.path.exists("executed")


def test_file_without_weights_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="holds no weights"):
        read_tensors(tmp_path / "x.pth")


def test_reference_without_weights_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", loss=1.0)
    with pytest.raises(ValueError, match="param/"):
        read_tensors(tmp_path / "x.npz")
