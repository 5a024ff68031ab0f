"""tools/analysis_tools/plot_log.py on logs as MMEngine writes them."""

import importlib
import json
import re
import sys

import pytest
from PIL import Image
from tool_runs import TOOLS, run_tool

TOOL = "analysis_tools/plot_log.py"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS / "analysis_tools"))
    monkeypatch.delitem(sys.modules, "plot_log", raising=False)
    return importlib.import_module("plot_log")


@pytest.fixture
def runs(tmp_path):
    for name, scale in (("first", 1.0), ("second", 2.0)):
        folder = tmp_path / name / "20260101_000000/vis_data"
        folder.mkdir(parents=True)
        entries = [
            dict(lr=0.1, loss=scale / step, time=0.5, iter=step, step=step)
            for step in range(10, 60, 10)
        ]
        if name == "first":
            entries.append({"accuracy/top1": 61.25, "step": 1})
        (folder / "scalars.json").write_text("\n".join(map(json.dumps, entries)))
    return [str(tmp_path / "first"), str(tmp_path / "second")]


def test_table_shows_last_values_of_all_runs(runs, tmp_path):
    printed = run_tool(TOOL, *runs, "--smooth", "0.5", "--out", tmp_path / "new/curves.png").stdout
    rows = [line.split() for line in printed.splitlines()]
    assert ["last", "value", "first", "second"] in rows
    assert ["iteration", "50", "50"] in rows
    assert ["loss", "0.02", "0.04"] in rows
    assert ["accuracy/top1", "61.25", "-"] in rows
    assert ["iterations/s", "2", "2"] in rows
    width, height = Image.open(tmp_path / "new/curves.png").size
    assert width == 3 * 420
    assert height == 2 * 300


@pytest.mark.parametrize("arguments", [["nowhere"], ["--smooth", "1.5"], ["--keys", "nonsense"]])
def test_errors_exit_with_one_line(runs, arguments):
    given = arguments if arguments == ["nowhere"] else [runs[0], *arguments]
    assert re.search("nowhere|smooth|nonsense", run_tool(TOOL, *given, code=1).stderr)


def test_runs_with_equal_names_are_labeled_by_path(tool):
    assert tool.names(["a/x", "b/x"]) == ["a/x", "b/x"]
    assert tool.names(["a/x", "b/y"]) == ["x", "y"]
