from pathlib import Path

import pytest
import torch
from tool_runs import run_tool

from mim_plugins.checkpoints import load_pretrained
from mim_plugins.registry import MODELS

TOOL = Path(__file__).parents[2] / "tools/model_converters/export_backbone.py"
SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
)


@pytest.fixture
def export(monkeypatch, capsys):
    """Run the tool as from the command line."""
    return lambda *arguments: run_tool(TOOL, arguments, monkeypatch, capsys)


@pytest.fixture
def checkpoint(tmp_path):
    backbone = MODELS.build(SWIN)
    tensors = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    torch.save({"state_dict": tensors | {"decoder.x": torch.ones(1)}}, tmp_path / "epoch_1.pth")
    return tmp_path / "epoch_1.pth", backbone


def test_exported_file_loads_and_is_overwritten_only_by_force(tmp_path, checkpoint, export):
    pytest.importorskip("safetensors")
    source, saved = checkpoint
    out = tmp_path / "encoder.safetensors"

    first = export(source, out)
    assert first.returncode == 0, first.stderr
    assert f"MaskedSwin (prefix 'backbone.'): {len(saved.state_dict())} tensors" in first.stdout
    loaded = MODELS.build(SWIN)
    load_pretrained(loaded, out)
    assert all(torch.equal(t, saved.state_dict()[n]) for n, t in loaded.state_dict().items())

    again = export(source, out)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert export(source, out, "--force").returncode == 0


def test_swin_for_timm_names_parameters_unknown_to_timm(tmp_path, checkpoint, export):
    result = export(checkpoint[0], tmp_path / "timm.pth", "--format", "timm")
    assert result.returncode == 0, result.stderr
    assert "has no pos_embed" in result.stdout


def test_errors_exit_with_one_line_and_write_nothing(tmp_path, export):
    (tmp_path / "page.pth").write_text("<html>404</html>")
    result = export(tmp_path / "page.pth", tmp_path / "out.safetensors")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
