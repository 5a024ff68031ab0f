"""Metadata of exported files."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from mim_plugins.checkpoints.metadata import file_digest, read_description, read_metadata
from mim_plugins.errors import CheckpointError


def test_metadata_of_both_formats(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", dict(x="1"))
    save_file({"a": torch.ones(1)}, tmp_path / "b.safetensors")
    torch.save(dict(meta=dict(x="1"), a=torch.ones(1)), tmp_path / "a.pth")
    torch.save([1], tmp_path / "b.pth")
    (tmp_path / "a.safetensors").rename(tmp_path / "a.bin")  # recognized by its first bytes
    assert read_metadata(tmp_path / "a.bin") == dict(x="1")
    (tmp_path / "a.bin").rename(tmp_path / "a.safetensors")
    for suffix in ("safetensors", "pth"):
        assert read_metadata(tmp_path / f"a.{suffix}") == dict(x="1")
        assert read_metadata(tmp_path / f"b.{suffix}") == {}
        assert read_description(tmp_path / f"a.{suffix}") is None


def test_description_must_be_text(tmp_path):
    torch.save(dict(meta=dict(mim_plugins=[1])), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="it is not text"):
        read_description(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin"])
def test_truncated_files_are_one_line(tmp_path, name):
    save_file({"a": torch.ones(99)}, tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    for size in (9, 60, len(content) - 1):
        (tmp_path / name).write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=rf"{name}' is corrupt or not a safetensors file"):
            read_description(tmp_path / name)


def test_files_of_other_kinds_are_named(tmp_path):
    for content, kind in ((b"", "is empty"), (b"<html>", "is a web page")):
        (tmp_path / "a.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match=kind):
            read_metadata(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_metadata(tmp_path / "b.pth")


def test_digest_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 10**4
    (tmp_path / "a").write_bytes(content)
    assert file_digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()
