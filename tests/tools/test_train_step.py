import json
import math
import sys

import pytest
from tool_runs import TOOLS, run_process, run_tool

TOOL = "dev/benchmarks/train_step.py"
TINY = dict(
    mixmae=dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
    mrmae=dict(embed_dims=32, depth=1, num_heads=2),
)
TEACHER = "vit_tiny_patch16_224"


def benchmark(*arguments, code=0, **variables):
    return run_process(sys.executable, TOOLS / TOOL, *arguments, code=code, **variables)


def numbers(value):
    if isinstance(value, dict):
        return [number for entry in value.values() for number in numbers(entry)]
    return [value] if isinstance(value, (int, float)) else []


@pytest.mark.parametrize(
    ("method", "contestants"),
    [
        ("mixmae", ["MixMAE", "mmpretrain"]),
        ("mrmae", ["MR-MAE", "MAE", "naive MR-MAE", "mmpretrain"]),
    ],
)
def test_contestants_are_measured_side_by_side(tmp_path, method, contestants):
    pytest.importorskip("timm")
    file = tmp_path / "result.json"
    small = ["--batch", 2, "--img-size", 64, "--repeats", 2, "--threads", 1, "--device", "cpu"]
    arch = json.dumps(TINY[method])
    result = benchmark(
        "--method", method, "--arch", arch, "--teacher", TEACHER, "--json", file, "--fused", *small
    )
    for name in contestants:
        assert f"\n{name} " in result.stdout

    measured = json.loads(file.read_text())
    assert list(measured["contestants"]) == contestants
    for key in ("images_per_s", "peer_images_per_s", "speedup", "memory_ratio", "mfu"):
        assert measured[key] > 0
    assert all(math.isfinite(number) for number in numbers(measured))
    assert 0 < measured["mfu"] < 1.5
    rows = measured["contestants"]
    assert measured["fused"] is True
    for row in rows.values():
        assert row["warmup_s"] > 0
        assert row["late_graphs"] == 0
        parts = [row[f"{part}_s"] for part in ("forward", "backward", "optimizer")]
        assert sum(part["min"] for part in parts) <= row["step_s"]["min"]
        assert row["step_s"]["min"] <= row["step_s"]["median"] <= row["step_s"]["max"]
    if method == "mrmae":  # the graph of the naive teacher costs operations
        ours, mae, naive = (rows[name]["gflops"] for name in contestants[:3])
        assert mae < ours < naive
        assert mae == pytest.approx(rows["mmpretrain"]["gflops"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--arch", "medium"], 1, "arch='medium' is unknown"),
        (["--batch", "3"], 2, "--batch: 3 must be even"),
        (["--img-size", "100"], 2, "--img-size: 100 must be a multiple of 32"),
    ],
)
def test_invalid_arguments_exit_with_one_line(arguments, code, message):
    assert message in run_tool(TOOL, "--method", "mixmae", *arguments, code=code).stderr


def test_compile_without_a_compiler_exits_with_one_line():
    small = ["--arch", json.dumps(TINY["mixmae"]), "--batch", 2, "--img-size", 64, "--repeats", 1]
    # ignores cached kernels from runs with a compiler
    variables = dict(CXX="/nowhere/g++", PATH="", TORCHINDUCTOR_FORCE_DISABLE_CACHES="1")
    options = ("--method", "mixmae", *small, "--device", "cpu", "--compile")
    error = benchmark(*options, code=1, **variables).stderr
    assert "error: --compile: torch.compile does not work for cpu here" in error
    assert "Traceback" not in error
