import argparse
import subprocess
import sys
from pathlib import Path

import torch

from mim_plugins.checkpoints import read_tensors
from mim_plugins.registry import MODELS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/data/mixmim_tiny.npz"


def convert(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools/convert_checkpoint.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_authors_training_checkpoint_loads_into_our_backbone(tmp_path):
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


def test_unknown_checkpoint_is_one_line_and_writes_nothing(tmp_path):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    result = convert(tmp_path / "other.pth", tmp_path / "ours.pth")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "other.pth" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "ours.pth").exists()
