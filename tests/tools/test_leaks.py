"""Runs with the shipped hooks keep no tensors or objects of a step."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/dev/benchmarks/leaks.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("method", ["mixmae", "mrmae"])
def test_nothing_grows_from_step_to_step(tmp_path, method):
    if method == "mrmae":
        pytest.importorskip("timm")
    file = tmp_path / "counts.json"

    result = run("--method", method, "--steps", 500, "--json", file)

    assert result.returncode == 0, result.stderr
    counts = json.loads(file.read_text())
    assert [count["step"] for count in counts] == [100, 200, 300, 400, 500]
    first, last = counts[0], counts[-1]
    assert 0 < last["tensors"] <= first["tensors"]
    assert 0 < last["tensor_mib"] <= first["tensor_mib"]
    # less than one object in two steps; until step 200, caches still fill
    assert last["objects"] - counts[1]["objects"] < 150
    assert [int(line.split()[0]) for line in result.stdout.splitlines()[-5:]] == [
        count["step"] for count in counts
    ]


@pytest.mark.parametrize("steps", [100, 250])
def test_invalid_number_of_steps_is_refused(steps):
    result = run("--steps", steps)
    assert result.returncode != 0
    assert "--steps must be a multiple of 100" in result.stderr
