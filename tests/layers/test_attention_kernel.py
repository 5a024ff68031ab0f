"""The Triton kernels are tested in Triton's interpreter, which a process selects when it starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CASES = sorted(Path(__file__).parent.glob("interpreted_*.py"))


def test_the_kernels_are_right_in_the_interpreter(tmp_path):
    pytest.importorskip("triton")
    root = Path(__file__).parents[2]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        *map(str, CASES),
    ]
    environment = os.environ | dict(TRITON_INTERPRET="1", OMP_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(root), str(CASES[0].parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    run = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert not re.search(r"skipped|deselected", run.stdout.splitlines()[-1])
