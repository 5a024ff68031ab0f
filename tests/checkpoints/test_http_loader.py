import argparse
import gzip
import io

import pytest
import torch
from faulty_server import faulty_server, head
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_checkpoint

from mim_plugins.checkpoints import TIMEOUT_VARIABLE, load_from_http, read_tensors
from mim_plugins.errors import CheckpointError


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.4")
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with faulty_server() as running:
        yield running


def content_of(tensors, **others):
    buffer = io.BytesIO()
    torch.save(dict(state_dict=tensors, **others), buffer)
    return buffer.getvalue()


GOOD = {"weight": torch.full((1, 1), 3.0), "bias": torch.zeros(1)}
READERS = (
    read_tensors,
    lambda address: load_checkpoint(torch.nn.Linear(1, 1), address),
)


def copies(tmp_path):
    return [path.name for path in (tmp_path / "hub" / "checkpoints").rglob("*")]


@pytest.mark.parametrize("unrestricted", ["0", "1"])
def test_mmengine_reads_addresses_through_our_loader(server, monkeypatch, unrestricted):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", unrestricted)
    content = content_of(GOOD, args=argparse.Namespace(lr=1))  # as the MAE authors' script
    server.answers.append(server.sends(head(Content_Length=len(content)), content))
    assert CheckpointLoader._get_checkpoint_loader("https://a/b.pth") is load_from_http
    assert CheckpointLoader._get_checkpoint_loader("http://a/b.pth") is load_from_http
    module = torch.nn.Linear(1, 1)
    load_checkpoint(module, f"{server.address}/x.pth")
    assert module.weight.item() == 3
    assert len(server.requests) == 1
    assert torch.equal(read_tensors(f"{server.address}/x.pth")["weight"], GOOD["weight"])
    assert len(server.requests) == 1


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"<html>Sign in</html>", "web page"),
        (b"", "is empty"),
        (b"PK\x03\x04" + b"x" * 99, "corrupt"),
        (content_of(GOOD)[:-300], "corrupt"),
        (content_of({"weight": torch.eye(1).to_sparse()}), "sparse_coo"),
    ],
)
def test_a_download_other_than_a_checkpoint_is_removed(server, tmp_path, content, cause, read):
    server.answers.append(
        server.sends(head(), content)
    )  # without a length, the truncation is not detected
    with pytest.raises(CheckpointError, match=rf"127\.0\.0\.1.*x\.pth'.*{cause}") as caught:
        read(f"{server.address}/x.pth")
    assert "its copy was removed" in str(caught.value)
    assert copies(tmp_path) == []


@pytest.mark.parametrize("read", READERS)
def test_a_stalled_server_raises_a_one_line_error(server, tmp_path, read):
    content = content_of(GOOD)
    begin = head(Content_Length=len(content), ETag='"1"') + content[:50]
    server.answers.append(server.stalls_after(begin))
    with pytest.raises(
        CheckpointError, match=r"x\.pth' cannot be downloaded, 3 times \(TimeoutErr"
    ):
        read(f"{server.address}/x.pth")
    assert copies(tmp_path) == []


def test_a_corrupt_copy_is_named(server, tmp_path):
    content = content_of(GOOD)
    server.answers.append(server.sends(head(Content_Length=len(content)), content))
    read_tensors(f"{server.address}/x.pth")
    (file,) = (tmp_path / "hub" / "checkpoints").iterdir()
    file.write_bytes(content[:100])
    with pytest.raises(CheckpointError, match=rf"{file.name}' is corrupt.*delete this copy of"):
        read_tensors(f"{server.address}/x.pth")


def test_safetensors_are_read_from_an_address(server):
    save = pytest.importorskip("safetensors.torch").save
    content = save(GOOD)
    server.answers.append(server.sends(head(Content_Length=len(content)), content))
    tensors = read_tensors(f"{server.address}/model.safetensors")
    assert torch.equal(tensors["weight"], GOOD["weight"])


@pytest.mark.parametrize(
    ("address", "models"),
    [
        ("torchvision://zz", "get_torchvision_models"),
        ("modelzoo://zz", "get_torchvision_models"),
        ("open-mmlab://zz", "get_external_models"),
        ("openmmlab://zz", "get_external_models"),
        ("mmcls://zz", "get_mmcls_models"),
    ],
)
def test_names_of_models_on_the_web_have_a_time_limit(server, monkeypatch, address, models):
    known = {"zz": f"{server.address}/x.pth"}
    monkeypatch.setattr(f"mmengine.runner.checkpoint.{models}", lambda: known)
    server.answers.append(server.stalls_after(head()))
    monkeypatch.setattr("mim_plugins.checkpoints.download._ATTEMPTS", 1)
    with pytest.raises(CheckpointError, match=r"x\.pth' cannot be downloaded \(TimeoutErr"):
        CheckpointLoader.load_checkpoint(address)


@pytest.mark.parametrize("read", READERS)
def test_scheme_in_capitals_and_other_characters_are_requested(server, read):
    content = content_of(GOOD)
    server.answers.append(server.sends(head(Content_Length=len(content)), content))
    read(server.address.replace("http", "HTTP") + "/a b/\u00e9.pth")
    assert len(server.requests) == 1


@pytest.mark.parametrize("address", ["http://[::1/x.pth", "http://host:port/x.pth"])
@pytest.mark.parametrize("read", READERS)
def test_invalid_address_is_one_line(address, read):
    with pytest.raises(CheckpointError, match="is not a valid address"):
        read(address)


def test_compressed_answer_is_one_line(server):
    content = gzip.compress(content_of(GOOD))
    encoded = head(Content_Encoding="gzip", Content_Length=len(content))
    server.answers.append(server.sends(encoded, content))
    with pytest.raises(CheckpointError, match=r"downloaded \(ValueError: the server compresses"):
        read_tensors(f"{server.address}/x.pth")
    assert len(server.requests) == 1
