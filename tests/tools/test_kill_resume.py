"""tools/dev/experiments/kill_resume.py with a few kills."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_few_kills_lose_no_run():
    result = subprocess.run(
        [sys.executable, "tools/dev/experiments/kill_resume.py", "--kills", "4", "--longest", "0.5",
         "--megabytes", "4"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES=""),
        timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert "4 kills" in result.stdout
    assert "resume failed 0 times, went back 0 times" in result.stdout
    assert " 0 checkpoints" not in result.stdout
