import argparse
from pathlib import Path

import pytest
import torch
from tool_runs import run_tool

from mim_plugins.checkpoints import read_tensors
from mim_plugins.registry import MODELS

TOOL = "model_converters/convert_checkpoint.py"
GOLDEN = Path(__file__).parents[1] / "data/mixmim_tiny.npz"


def test_authors_training_checkpoint_loads_into_our_backbone(tmp_path):
    weights = read_tensors(GOLDEN)
    torch.save(
        {"model": weights, "epoch": 599, "args": argparse.Namespace(lr=1.2e-3)},
        tmp_path / "authors.pth",
    )
    result = run_tool(TOOL, tmp_path / "authors.pth", tmp_path / "ours.pth")
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


def test_other_files_and_existing_targets_are_refused(tmp_path):
    (tmp_path / "empty.pth").touch()
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name, message in (("empty", "is empty"), ("other", "other.pth")):
        result = run_tool(TOOL, tmp_path / f"{name}.pth", tmp_path / "ours.pth", code=1)
        assert message in result.stderr
        assert not (tmp_path / "ours.pth").exists()

    (tmp_path / "ours.pth").write_text("kept")
    assert "exists already" in run_tool(TOOL, GOLDEN, tmp_path / "ours.pth", code=1).stderr
    assert (tmp_path / "ours.pth").read_text() == "kept"
    run_tool(TOOL, GOLDEN, tmp_path / "ours.pth", "--force")


@pytest.mark.parametrize("name", ["ours.safetensors", "ours.npz", "ours"])
def test_target_that_could_not_be_read_is_refused(tmp_path, name):
    message = run_tool(TOOL, GOLDEN, tmp_path / name, code=2).stderr
    assert f"DST '{tmp_path / name}' must end in .pth" in message
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to(torch.int64), "norm.weight (int64, where float32 is expected)"),
        (lambda t: t.double() + 1e300, "exceed the range"),
        (lambda t: t / 0, "NaN or infinite"),
    ],
)
def test_weights_of_another_kind_exit_with_one_line(tmp_path, change, message):
    weights = read_tensors(GOLDEN)
    weights["norm.weight"] = change(weights["norm.weight"])
    torch.save(weights, tmp_path / "x.pth")
    assert message in run_tool(TOOL, tmp_path / "x.pth", tmp_path / "ours.pth", code=1).stderr
    assert not (tmp_path / "ours.pth").exists()
