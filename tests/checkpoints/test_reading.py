import argparse
import functools
import http.server
import io
import os
import pickle
import threading

import numpy as np
import pytest
import torch

from mim_plugins.checkpoints import read_tensors, write_with_digest
from mim_plugins.errors import CheckpointError

WEIGHT = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "content",
    [
        {"a": WEIGHT},
        {"model": {"a": WEIGHT}, "epoch": 3, "args": argparse.Namespace(lr=1e-3)},
        {"state_dict": {"module.a": WEIGHT}, "meta": {"model": {"x": 1}}},
    ],
)
def test_weights_are_found_under_the_usual_keys(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    tensors = read_tensors(tmp_path / "x.pth")
    assert list(tensors) == ["a"]
    assert torch.equal(tensors["a"], WEIGHT)


def test_safetensors_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({"a": WEIGHT}, tmp_path / "x.safetensors")
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")["a"], WEIGHT)


def test_a_missing_file_is_named_with_the_folders_files(tmp_path):
    torch.save({"a": WEIGHT}, tmp_path / "epoch_1.pth")
    with pytest.raises(CheckpointError, match=r"no checkpoint '.*nothing\.pth'.*epoch_1\.pth"):
        read_tensors(tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match=r"folder '.*absent' does not exist"):
        read_tensors(tmp_path / "absent" / "x.pth")
    with pytest.raises(CheckpointError, match=r"is a folder.*epoch_1\.pth"):
        read_tensors(tmp_path)


def test_an_empty_path_names_the_entry_to_set():
    with pytest.raises(CheckpointError, match=r"init_cfg\.checkpoint"):
        read_tensors("")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_named(tmp_path, share, name):
    file = tmp_path / name
    if name.endswith(".pth"):
        torch.save({"a": torch.zeros(1000)}, file)
    else:
        pytest.importorskip("safetensors.torch").save_file({"a": torch.zeros(1000)}, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=rf"{name}.*corrupt.*again"):
        read_tensors(file)


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"\n <!DOCTYPE html><title>Sign in</title>", r"web page \(HTML\)"),
        (b"<html><body>404</body></html>", r"web page \(HTML\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x01\x02" * 400, "corrupt"),
    ],
)
def test_other_files_are_refused_with_their_kind(tmp_path, content, cause, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name}.*{cause}") as caught:
        read_tensors(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_another_pickle_is_refused(tmp_path):
    (tmp_path / "x.pth").write_bytes(pickle.dumps([1, 2, 3]))
    with pytest.raises(CheckpointError, match=r"x\.pth.*not a PyTorch checkpoint"):
        read_tensors(tmp_path / "x.pth")


def test_safetensors_are_recognized_by_their_content(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({"a": WEIGHT}, tmp_path / "x.pth")
    assert torch.equal(read_tensors(tmp_path / "x.pth")["a"], WEIGHT)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    torch.save({"model": {"a": WEIGHT}, "args": Malicious()}, "x.pth")
    with pytest.raises(CheckpointError, match=r"x\.pth.*more than weights.*mkdir") as caught:
        read_tensors("x.pth")
    assert not os.path.exists("executed")
    assert "weights_only" not in str(caught.value)  # PyTorch's own message advises to run the code
    assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "0"


def test_reading_leaves_the_allow_list_unchanged(tmp_path):
    torch.save({"a": WEIGHT}, tmp_path / "x.pth")
    before = set(torch.serialization.get_safe_globals())
    read_tensors(tmp_path / "x.pth")
    assert set(torch.serialization.get_safe_globals()) == before


def test_scalars_of_numpy_1_are_read(tmp_path):
    file = tmp_path / "x.pth"
    content = {"state_dict": {"a": WEIGHT}, "best": np.float64(3)}
    torch.save(content, file, pickle_protocol=2, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes().replace(b"numpy._core", b"numpy.core"))
    assert b"numpy.core" in file.read_bytes()
    assert torch.equal(read_tensors(file)["a"], WEIGHT)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Yield the address of a server of the folder ``tmp_path / 'served'``."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    (tmp_path / "served").mkdir()
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served")
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_an_address_is_read_as_strictly_as_a_file(tmp_path, monkeypatch, server):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": WEIGHT}}, "served/good.pth")
    torch.save({"a": WEIGHT, "args": Malicious()}, "served/bad.pth")

    assert torch.equal(read_tensors(f"{server}/good.pth")["a"], WEIGHT)
    with pytest.raises(CheckpointError, match=r"bad\.pth.*more than weights"):
        read_tensors(f"{server}/bad.pth")
    assert not os.path.exists("executed")
    with pytest.raises(CheckpointError, match=r"absent\.pth' cannot be downloaded.*404"):
        read_tensors(f"{server}/absent.pth")


@pytest.mark.parametrize("place", [0, 40, 700, -40, -90])
def test_a_flipped_bit_of_a_file_with_a_digest_is_found(tmp_path, place):
    with io.BytesIO() as file:
        torch.save({"state_dict": {"a": WEIGHT}}, file)
        write_with_digest(tmp_path / "x.pth", file.getvalue())
    assert torch.equal(read_tensors(tmp_path / "x.pth")["a"], WEIGHT)
    content = bytearray((tmp_path / "x.pth").read_bytes())
    content[place] ^= 1
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pth' is corrupt: .*digest.*download or copy"):
        read_tensors(tmp_path / "x.pth")


def test_a_changed_value_of_a_file_without_a_digest_is_found(tmp_path):
    torch.save({"a": WEIGHT}, tmp_path / "x.pth")
    content = bytearray((tmp_path / "x.pth").read_bytes())
    content[content.index(WEIGHT.numpy().tobytes()) + 7] ^= 0x40  # an exponent
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pth' is corrupt: the checksum of .*data/0"):
        read_tensors(tmp_path / "x.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_every_corrupt_pickle_raises_a_one_line_error(tmp_path, zipped):
    file = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(2), "b": [1.5, None]}, file, _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    messages = []
    for place in range(0, len(content), 23 if zipped else 5):
        for value in (0, 40, 128, 255):
            file.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            try:
                read_tensors(file)
            except CheckpointError as error:
                messages.append(str(error))
    assert len(messages) > 50
    assert not [message for message in messages if "\n" in message]


def test_a_file_without_weights_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="contains no weights"):
        read_tensors(tmp_path / "x.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "npz"])
def test_a_pipe_is_not_opened(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe.{suffix}")
    with pytest.raises(CheckpointError, match=r"pipe\..*' is a pipe, socket or device, not a"):
        read_tensors(tmp_path / f"pipe.{suffix}")
    with pytest.raises(CheckpointError, match="is a pipe, socket or device"):
        read_tensors("/dev/null")
