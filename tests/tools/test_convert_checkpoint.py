import argparse
from pathlib import Path

import pytest
import torch
from tool_runs import run_tool

from mim_plugins.checkpoints import read_tensors
from mim_plugins.registry import MODELS

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools/model_converters/convert_checkpoint.py"
GOLDEN = ROOT / "tests/data/mixmim_tiny.npz"


@pytest.fixture
def convert(monkeypatch, capsys):
    """Run the tool as from the command line."""
    return lambda *arguments: run_tool(TOOL, arguments, monkeypatch, capsys)


def test_authors_training_checkpoint_loads_into_our_backbone(tmp_path, convert):
    weights = read_tensors(GOLDEN)
    torch.save(
        {"model": weights, "epoch": 599, "args": argparse.Namespace(lr=1.2e-3)},
        tmp_path / "authors.pth",
    )
    result = convert(tmp_path / "authors.pth", tmp_path / "ours.pth")
    assert result.returncode == 0, result.stderr
    assert "MixMIM/MixMAE of the authors" in result.stdout

    backbone = MODELS.build(
        dict(
            type="mim_plugins.MaskedSwin",
            arch=dict(embed_dims=16, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8)),
            img_size=128,
            window_size=(8, 8, 8, 4),
            init_cfg=dict(
                type="Pretrained", checkpoint=str(tmp_path / "ours.pth"), prefix="backbone."
            ),
        )
    )
    backbone.init_weights()
    loaded = backbone.state_dict()
    assert torch.equal(loaded["norm.weight"], weights["norm.weight"])
    assert torch.equal(
        loaded["stages.1.downsample.reduction.weight"],
        weights["layers.0.downsample.reduction.weight"],
    )


def test_unknown_checkpoint_is_refused_and_nothing_written(tmp_path, convert):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    result = convert(tmp_path / "other.pth", tmp_path / "ours.pth")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "other.pth" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "ours.pth").exists()


def test_corrupt_files_and_existing_targets_are_refused(tmp_path, convert):
    (tmp_path / "empty.pth").touch()
    result = convert(tmp_path / "empty.pth", tmp_path / "ours.pth")
    assert result.returncode == 1
    assert "is empty" in result.stderr
    assert result.stderr.count("\n") == 1

    (tmp_path / "ours.pth").write_text("kept")
    result = convert(GOLDEN, tmp_path / "ours.pth")
    assert result.returncode == 1
    assert "exists already" in result.stderr
    assert (tmp_path / "ours.pth").read_text() == "kept"
    assert convert(GOLDEN, tmp_path / "ours.pth", "--force").returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to(torch.int64), "norm.weight (int64, where float32 is expected)"),
        (lambda t: t.double() + 1e300, "exceed the range"),
        (lambda t: t / 0, "NaN or infinite"),
    ],
)
def test_weights_of_another_kind_exit_with_one_line(tmp_path, convert, change, message):
    weights = read_tensors(GOLDEN)
    weights["norm.weight"] = change(weights["norm.weight"])
    torch.save(weights, tmp_path / "x.pth")
    result = convert(tmp_path / "x.pth", tmp_path / "ours.pth")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "ours.pth").exists()
