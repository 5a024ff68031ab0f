"""tools/dev/experiments/kill_resume.py with a few kills."""

import sys

from tool_runs import TOOLS, run_process


def test_few_kills_lose_no_run():
    tool = TOOLS / "dev/experiments/kill_resume.py"
    options = ("--kills", 4, "--longest", 0.5, "--megabytes", 4)
    printed = run_process(sys.executable, tool, *options).stdout
    assert "4 kills" in printed
    assert "resume failed 0 times, went back 0 times" in printed
    assert " 0 checkpoints" not in printed
