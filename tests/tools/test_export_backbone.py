import pytest
import torch
from tool_runs import run_tool

from mim_plugins.checkpoints import load_pretrained
from mim_plugins.registry import MODELS

TOOL = "model_converters/export_backbone.py"
SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
)


@pytest.fixture
def checkpoint(tmp_path):
    backbone = MODELS.build(SWIN)
    tensors = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    torch.save({"state_dict": tensors | {"decoder.x": torch.ones(1)}}, tmp_path / "epoch_1.pth")
    return tmp_path / "epoch_1.pth", backbone


def test_exported_file_loads_and_is_overwritten_only_by_force(tmp_path, checkpoint):
    pytest.importorskip("safetensors")
    source, saved = checkpoint
    out = tmp_path / "encoder.safetensors"

    printed = run_tool(TOOL, source, out).stdout
    assert f"MaskedSwin (prefix 'backbone.'): {len(saved.state_dict())} tensors" in printed
    loaded = MODELS.build(SWIN)
    load_pretrained(loaded, out)
    assert all(torch.equal(t, saved.state_dict()[n]) for n, t in loaded.state_dict().items())

    assert "exists already" in run_tool(TOOL, source, out, code=1).stderr
    run_tool(TOOL, source, out, "--force")


def test_swin_for_timm_names_parameters_unknown_to_timm(tmp_path, checkpoint):
    result = run_tool(TOOL, checkpoint[0], tmp_path / "timm.pth", "--format", "timm")
    assert "has no pos_embed" in result.stdout


def test_errors_exit_with_one_line_and_write_nothing(tmp_path):
    (tmp_path / "page.pth").write_text("<html>404</html>")
    run_tool(TOOL, tmp_path / "page.pth", tmp_path / "out.safetensors", code=1)
    assert not (tmp_path / "out.safetensors").exists()
