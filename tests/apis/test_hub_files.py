"""Folders for the Hugging Face hub."""

import json
from pathlib import Path

import pytest
import torch
from described_encoders import change, encoder_of

import mim_plugins
from mim_plugins.apis import Encoder, hub_files
from mim_plugins.errors import CheckpointError

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture(params=["pvt", "vit", "vit_without_cls"])
def encoder(request):
    return encoder_of(request.param)


def test_saved_folder_gives_the_same_features(encoder, tmp_path, photos):
    encoder.save_pretrained(tmp_path / "a")
    expected = mim_plugins.extract_features(encoder, photos).pooled
    for loaded in (Encoder.from_pretrained(tmp_path / "a"), mim_plugins.load(tmp_path / "a")):
        assert torch.equal(mim_plugins.extract_features(loaded, photos).pooled, expected)
        assert not loaded.training
    loaded.save_pretrained(tmp_path / "b")
    assert loaded.description == encoder.description
    for name in ("config.json", "README.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_files_are_written_at_once_with_usual_permissions(tmp_path, monkeypatch):
    encoder = encoder_of("vit")
    encoder.save_pretrained(tmp_path)
    (tmp_path / "usual").touch()
    names = ("model.safetensors", "config.json")
    assert {(tmp_path / each).stat().st_mode for each in (*names, "usual")} == {
        (tmp_path / "usual").stat().st_mode
    }
    before = [(tmp_path / each).read_bytes() for each in names]

    def fail(*_, **__):
        raise OSError("disk full")

    for owner, function, name in (
        (hub_files, "save_safetensors", names[0]),
        (Path, "write_text", names[1]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, function, fail)
            with pytest.raises(OSError, match="disk full"):
                encoder._save_pretrained(tmp_path)
        assert (tmp_path / name).read_bytes() == before[names.index(name)]
    assert {each.name for each in tmp_path.iterdir()} == {*names, "README.md", "usual"}


class Api:
    """Hub that keeps the files of a repository."""

    def __init__(self, token=None):
        pass

    def create_repo(self, repo_id, **_):
        return type("Repository", (), dict(repo_id=f"me/{repo_id}"))

    def upload_folder(self, repo_id, folder_path, **_):
        type(self).uploaded = {file.name: file.read_bytes() for file in folder_path.iterdir()}
        return f"url of {repo_id}"


def test_pushed_files_are_those_that_are_downloaded(tmp_path, monkeypatch, photos):
    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    encoder = encoder_of("large_windows")
    url = encoder.push_to_hub("encoder", model_card_kwargs=dict(figures={"k-NN top-1": 71.5}))
    assert url == "url of me/encoder"
    for name, content in Api.uploaded.items():
        (tmp_path / name).write_bytes(content)
    assert b"| k-NN top-1 | 71.5 |" in Api.uploaded["README.md"]

    def download(name, file=None, repo_id=None, filename=None, **_):
        assert (name or repo_id) == "me/encoder"
        return str(tmp_path / (file or filename))

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(
        "huggingface_hub.hub_mixin.hf_hub_download",
        lambda repo_id, filename, **_: download(repo_id, filename),
    )
    loaded = Encoder.from_pretrained("me/encoder")
    expected = mim_plugins.extract_features(encoder, photos).pooled
    assert torch.equal(mim_plugins.extract_features(loaded, photos).pooled, expected)


def test_changed_folder_is_refused(tmp_path):
    encoder_of("vit").save_pretrained(tmp_path)

    def edit(content):
        content["backbone"]["type"] = "Popen"

    change(tmp_path / "model.safetensors", edit)
    (tmp_path / "config.json").write_text(json.dumps(dict(description="x", hook=1)))
    with pytest.raises(CheckpointError, match="'Popen' is not one of"):
        Encoder.from_pretrained(tmp_path)


def test_unreachable_hub_is_one_line(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    monkeypatch.setattr(
        "huggingface_hub.hub_mixin.hf_hub_download",
        lambda **_: str(tmp_path / "config.json"),
    )
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        CheckpointError, match=r"'me/x' on the .* cannot be downloaded \(no route\)"
    ):
        Encoder.from_pretrained("me/x")
