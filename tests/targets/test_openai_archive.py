import hashlib

import pytest
import torch
from torch import nn

from mim_plugins.errors import CheckpointError
from mim_plugins.targets.openai_archive import digest_in, read_openai_archive, require_digest


class Sizes(nn.Module):
    """Module with the entries that OpenAI's archives contain in addition to the weights."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer("input_resolution", torch.tensor(224))
        self.register_buffer("context_length", torch.tensor(77))
        self.register_buffer("vocab_size", torch.tensor(49408))

    def forward(self, x):
        return self.fc(x)


@pytest.fixture
def archive(tmp_path):
    module = Sizes()
    path = tmp_path / "ViT-B-16.pt"
    torch.jit.save(torch.jit.script(module), path)
    return module, str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def publish(open_clip, monkeypatch, name, digest):
    registry = pytest.importorskip("open_clip.pretrained")._PRETRAINED
    config = open_clip.get_pretrained_cfg("ViT-B-16", "openai")
    url = f"https://somewhere/clip/models/{digest}/{name}.pt"
    monkeypatch.setitem(registry, name, dict(openai=dict(config, url=url)))


def test_weights_of_the_published_archive_are_read(open_clip, archive, monkeypatch):
    module, path, digest = archive
    publish(open_clip, monkeypatch, "tiny-clip", digest)
    tensors = read_openai_archive(open_clip, "tiny-clip", path)
    assert set(tensors) == {"fc.weight", "fc.bias"}
    assert torch.equal(tensors["fc.weight"], module.fc.weight)


def test_another_archive_is_refused_with_the_file_to_get(open_clip, archive, monkeypatch):
    monkeypatch.setattr("torch.jit.load", lambda *_, **__: pytest.fail("it may run code"))
    with pytest.raises(CheckpointError, match="none of OpenAI's by its SHA-256") as caught:
        read_openai_archive(open_clip, "ViT-B-16", archive[1])
    assert str(caught.value).endswith(
        "get 'timm/vit_base_patch16_clip_224.openai/open_clip_model.safetensors' of the hub, and"
        " set pretrained='/path/to/open_clip_model.safetensors', tag='openai'"
    )
    with pytest.raises(CheckpointError, match="give a state dict, saved by"):
        read_openai_archive(open_clip, "tiny-clip", archive[1])


def test_the_archive_of_another_model_is_named(open_clip, archive, monkeypatch):
    publish(open_clip, monkeypatch, "tiny-clip", archive[2])
    with pytest.raises(CheckpointError, match="and OpenAI's file of tiny-clip by its SHA-256"):
        read_openai_archive(open_clip, "ViT-B-16", archive[1])


@pytest.mark.parametrize(
    ("url", "digest"),
    [
        (f"https://a/clip/models/{'ab' * 32}/ViT-B-16.pt", "ab" * 32),
        ("https://a/v0.2-weights/vit_b_16-laion400m_e31-00efa78f.pt", "00efa78f"),
        ("https://a/MMPT/metaclip/b16_400m.pt", ""),
        ("https://a/x-abc.pt", ""),
    ],
)
def test_digests_are_found_in_addresses(url, digest):
    assert digest_in(url) == digest


def test_the_digests_of_all_published_archives_are_known(open_clip):
    names = [name for name in open_clip.list_openai_models() if not name.startswith("tiny")]
    assert "ViT-B-16" in names
    for name in names:
        assert len(digest_in(open_clip.get_pretrained_cfg(name, "openai")["url"])) == 64, name


def test_a_file_is_compared_with_its_digest(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    require_digest(file, "ba7816bf")
    with pytest.raises(CheckpointError, match="begins with ba7816bf, not with 00000000"):
        require_digest(file, "0" * 8)
