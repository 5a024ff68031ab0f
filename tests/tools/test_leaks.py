"""Runs with the shipped hooks keep no tensors or objects of a step."""

import json
import sys

import pytest
from tool_runs import TOOLS, run_process, run_tool

TOOL = "dev/benchmarks/leaks.py"


@pytest.mark.parametrize("method", ["mixmae", "mrmae"])
def test_nothing_grows_from_step_to_step(tmp_path, method):
    if method == "mrmae":
        pytest.importorskip("timm")
    file = tmp_path / "counts.json"

    # a fresh process, without the objects of other tests
    options = ("--method", method, "--steps", 300, "--json", file)
    printed = run_process(sys.executable, TOOLS / TOOL, *options).stdout

    counts = json.loads(file.read_text())
    assert [count["step"] for count in counts] == [100, 200, 300]
    first, second, last = counts
    assert 0 < last["tensors"] <= first["tensors"]
    assert 0 < last["tensor_mib"] <= first["tensor_mib"]
    # less than one object in two steps; until step 200, caches still fill
    assert last["objects"] - second["objects"] < 50
    assert [int(line.split()[0]) for line in printed.splitlines()[-3:]] == [100, 200, 300]


@pytest.mark.parametrize("steps", [100, 250])
def test_invalid_number_of_steps_is_refused(steps):
    error = run_tool(TOOL, "--steps", steps, code=2).stderr
    assert "--steps must be a multiple of 100" in error
