import runpy
from pathlib import Path

import numpy as np
import pytest
from tool_runs import TOOLS, run_tool
from trajectory_files import make_trajectory

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


@pytest.fixture(scope="module")
def trajectory():
    return make_trajectory("mixmim_pretrain")


def test_training_run_passes(tmp_path, trajectory):
    np.savez(tmp_path / "x.npz", **trajectory)
    printed = run_tool(TOOL, tmp_path / "x.npz").stdout
    assert printed.startswith("configs/mixmae/swin_b_600e.py with sizes and lengths of")
    assert "weight_decay=0.3 (0.05)" in printed
    assert "attn.qkv.bias [range]" in printed
    assert printed.count("attn.qkv.bias [range]") == int(printed.split("[range]: ")[1].split()[0])
    assert printed.splitlines()[-1].startswith("passed: ")


def test_wrong_rate_of_a_training_run_fails(tmp_path, trajectory):
    rates = trajectory["lr"] * (1 + 1e-5)
    np.savez(tmp_path / "x.npz", **trajectory | dict(lr=rates.astype("f4")))
    run_tool(TOOL, tmp_path / "x.npz", code=1)
    run_tool(TOOL, tmp_path / "x.npz", "--tolerance", "1e-4")


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
def test_unusable_training_runs_exit_with_one_line(tmp_path, trajectory, name, value):
    np.savez(tmp_path / "x.npz", **trajectory | {name: value})
    error = run_tool(TOOL, tmp_path / "x.npz", code=1).stderr
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("errors", [(1e-9, float("nan")), (float("nan"), 1e-9)])
def test_errors_that_are_not_numbers_fail(errors, capsys):
    report = runpy.run_path(str(TOOLS / "model_converters/check_parity.py"))["report"]
    named = dict(zip(("loss", "latent"), errors, strict=True))
    assert not report(named, {}, None, set())
    assert "FAILED: largest relative error nan of 2" in capsys.readouterr().out
