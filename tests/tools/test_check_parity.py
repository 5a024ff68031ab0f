import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def test_reference_passes():
    result = check(GOLDEN)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed: largest relative error" in result.stdout


def test_a_wrong_weight_fails_with_status_1(tmp_path, content):
    wrong = content | {"param/norm.weight": content["param/norm.weight"] * 1.001}
    np.savez(tmp_path / "wrong.npz", **wrong)
    result = check(tmp_path / "wrong.npz")
    assert result.returncode == 1
    assert "above the tolerance" in result.stdout


def test_file_of_another_kind_is_one_line(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"no zip file")
    result = check(tmp_path / "x.npz")
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
