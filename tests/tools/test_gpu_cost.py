"""tools/analysis_tools/gpu_cost.py on a small encoder."""

from pathlib import Path

import pytest
from tool_runs import run_tool

FILE = Path(__file__).parents[2] / "tools/analysis_tools/gpu_cost.py"
SMALL = (
    "--cfg-options", "model.backbone.arch.depth=1", "model.backbone.arch.embed_dims=32",
    "model.backbone.arch.num_heads=2", "model.decoder.depth=1", "model.mimics=None",
)  # fmt: skip
NAME = "mrmae/vit_b_400e"


@pytest.fixture
def tool(monkeypatch, capsys):
    return lambda *arguments: run_tool(FILE, arguments, monkeypatch, capsys)


def test_the_report_lists_phases_memory_kernels_and_waits(tool):
    text = tool(NAME, "--batch", 4, "--operations", 2, "--graphs", *SMALL).stdout
    for part in ("forward", "backward", "optimizer", "MFU", "H200 ms", "GB kept",
                 "cudnn_attention", "host waits per step: 0", "1 graphs, 0 recompiled"):  # fmt: skip
        assert part in text


def test_the_table_follows_the_rates(tool):
    options = (NAME, "--batch", 4, "--table", "--gpus", "H200")
    plain = tool(*options, *SMALL).stdout.splitlines()[-1]
    slow = tool(*options, "--rates", "H200.launch=1.0", *SMALL).stdout.splitlines()[-1]
    assert plain.startswith("| vit_b_400e, 4 images, bfloat16 |")
    launches = int(slow.split("|")[3])
    assert float(slow.split("|")[2].split()[0]) >= 1e3 * launches > 1e3


@pytest.mark.parametrize(
    ("option", "message"),
    [("H200.speed=1", "--rates H200.speed=1: use"), ("V100.launch=1", "--rates V100.launch=1"),
     ("H200.launch=fast", "--rates H200.launch=fast")],
)  # fmt: skip
def test_wrong_rates_exit_with_one_line(tool, option, message):
    result = tool(NAME, "--rates", option)
    assert result.returncode == 1
    assert message in result.stderr
