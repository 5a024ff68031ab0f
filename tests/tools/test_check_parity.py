import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tool_runs import run_tool
from trajectory_files import make_trajectory

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/data/mixmim_tiny.npz"


def check(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools/check_parity.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def content():
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the tool in this process."""
    tool = ROOT / "tools/check_parity.py"
    return lambda *arguments: run_tool(tool, arguments, monkeypatch, capsys)


def test_reference_passes():
    result = check(GOLDEN)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed: largest relative error" in result.stdout


def test_wrong_weight_fails_with_status_1(tmp_path, content):
    wrong = content | {"param/norm.weight": content["param/norm.weight"] * 1.001}
    np.savez(tmp_path / "wrong.npz", **wrong)
    result = check(tmp_path / "wrong.npz")
    assert result.returncode == 1
    assert "above the tolerance" in result.stdout


def test_file_of_another_kind_exits_with_one_line(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no zip file")
    result = check(tmp_path / "x.npz")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


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
def test_entries_of_another_kind_exit_with_one_line(tmp_path, content, name, change, run):
    assert name in content
    np.savez(tmp_path / "x.npz", **content | {name: change(content[name])})
    result = run(tmp_path / "x.npz")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def trajectory():
    return make_trajectory("mixmim_pretrain")


def test_training_run_passes(tmp_path, trajectory, run):
    np.savez(tmp_path / "x.npz", **trajectory)
    result = run(tmp_path / "x.npz")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("configs/mixmae/swin_b_600e.py with sizes and lengths of")
    assert "weight_decay=0.3 (0.05)" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("passed: ")


def test_wrong_rate_of_a_training_run_fails(tmp_path, trajectory, run):
    rates = trajectory["lr"] * (1 + 1e-5)
    np.savez(tmp_path / "x.npz", **trajectory | dict(lr=rates.astype("f4")))
    assert run(tmp_path / "x.npz").returncode == 1
    assert run(tmp_path / "x.npz", "--tolerance", "1e-4").returncode == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", np.zeros((7, 3)) + 0.5),
        ("lr", np.array("fast")),
        ("param/norm.weight", np.ones(3, "f4")),
        ("lr_scale/no_such_parameter", np.float32(1)),
        ("config", np.array('{"method": "mixmim_pretrain"}')),
        ("config", np.array("[]")),
        ("mask_s3", np.zeros((7, 1, 4, 1), "u1")),
    ],
)
def test_unusable_training_runs_exit_with_one_line(tmp_path, trajectory, name, value, run):
    np.savez(tmp_path / "x.npz", **trajectory | {name: value})
    result = run(tmp_path / "x.npz")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
