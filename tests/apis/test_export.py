"""Exported files with their description."""

import hashlib

import pytest
import torch
from described_encoders import assert_same_features, exported, pretraining, trained

import mim_plugins
from mim_plugins.apis.export import export_encoder
from mim_plugins.errors import CheckpointError


def test_source_and_versions_are_recorded_and_kept(tmp_path):
    _, file = exported(pretraining("vit"), tmp_path)
    content = (tmp_path / "epoch_3.pth").read_bytes()
    export_encoder(file, tmp_path / "again.safetensors")
    for path in (file, tmp_path / "again.safetensors"):
        description = mim_plugins.load(path).description
        assert description.source == "epoch_3.pth"
        assert description.source_sha256 == hashlib.sha256(content).hexdigest()
        assert description.versions["torch"] == torch.__version__
        assert description.algorithm == "MRMAE"


@pytest.mark.parametrize(("file_format", "end"), [("torch", "pth"), ("timm", "safetensors")])
def test_other_formats_describe_themselves(file_format, end, tmp_path, photos):
    model, file = exported(pretraining("vit"), tmp_path)
    export_encoder(file, tmp_path / f"out.{end}", file_format)
    assert_same_features(model, mim_plugins.load(tmp_path / f"out.{end}"), photos)


def test_config_describes_weights_of_other_code(tmp_path, photos):
    cfg = pretraining("vit")
    model = trained(cfg)
    torch.save(model.backbone.state_dict(), tmp_path / "plain.pth")
    export_encoder(tmp_path / "plain.pth", tmp_path / "a.safetensors", config=cfg)
    assert_same_features(model, mim_plugins.load(tmp_path / "a.safetensors"), photos)

    cfg.model.backbone.arch.depth = 2
    with pytest.raises(CheckpointError, match=r"do not fit .* MaskedViT.*blocks 3 x"):
        export_encoder(tmp_path / "plain.pth", tmp_path / "b.safetensors", config=cfg)
    assert not (tmp_path / "b.safetensors").exists()
    with pytest.raises(CheckpointError, match="no backbone of mim_plugins"):
        export_encoder(
            tmp_path / "plain.pth", tmp_path / "b.safetensors", config=type(cfg)(dict(model={}))
        )
