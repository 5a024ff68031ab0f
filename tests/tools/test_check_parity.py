from pathlib import Path

import numpy as np
import pytest
from tool_runs import run_tool

TOOL = "check_parity.py"
GOLDEN = Path(__file__).parents[1] / "data/mixmim_tiny.npz"


@pytest.fixture(scope="module")
def content():
    with np.load(GOLDEN) as file:
        return dict(file)


def test_reference_passes_and_a_wrong_weight_fails(tmp_path, content):
    assert "passed: largest relative error" in run_tool(TOOL, GOLDEN).stdout
    wrong = content | {"param/norm.weight": content["param/norm.weight"] * 1.001}
    np.savez(tmp_path / "wrong.npz", **wrong)
    assert "above the tolerance" in run_tool(TOOL, tmp_path / "wrong.npz", code=1).stdout


def test_file_of_another_kind_exits_with_one_line(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no zip file")
    assert run_tool(TOOL, tmp_path / "x.npz", code=1).stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("param/norm.weight", lambda a: a.astype("i8")),
        ("param/norm.weight", lambda a: a.astype("f8") + 1e300),
        ("param/norm.weight", lambda a: a * np.nan),
        ("param/norm.weight", lambda a: a[:-1]),
        ("input", lambda a: a.astype("i8")),
        ("input", lambda a: a[0]),
        ("mask_s4", lambda a: a[:, :-1]),
        ("config", lambda _: np.array("[]")),
        ("config", lambda _: np.array(3)),
    ],
)
def test_entries_of_another_kind_exit_with_one_line(tmp_path, content, name, change):
    assert name in content
    np.savez(tmp_path / "x.npz", **content | {name: change(content[name])})
    error = run_tool(TOOL, tmp_path / "x.npz", code=1).stderr
    assert error.startswith("error: ")
    assert error.count("\n") == 1
