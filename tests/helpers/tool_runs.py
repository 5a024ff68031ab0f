"""Run of a command-line tool in the process of the test, which saves the imports of a new one."""

import contextlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

TOOLS = Path(__file__).parents[2] / "tools"


class Output(NamedTuple):
    """Everything that a command prints."""

    stdout: str
    stderr: str


def run_tool(tool, *arguments, code=0):
    """Run ``tools/<tool>`` and check its exit code; a message that it exits with must be a line."""
    file = TOOLS / tool
    out, err = io.StringIO(), io.StringIO()
    # MMEngine keeps these by the start time of a run, in seconds
    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()
    threads = torch.get_num_threads()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", [str(file), *map(str, arguments)])
        patch.syspath_prepend(str(file.parent))
        try:
            runpy.run_path(str(file), run_name="__main__")
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
    torch.set_num_threads(threads)
    if isinstance(status, str):
        assert status.startswith("error: ")
        assert "\n" not in status
        err.write(f"{status}\n")
        status = 1
    assert status == code, (out.getvalue() + err.getvalue())[-5000:]
    return Output(out.getvalue(), err.getvalue())


def run_process(*command, code=0, **variables):
    """Run a command in the repository and check its exit code, for tests that need processes."""
    result = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        cwd=TOOLS.parent,
        env=os.environ | dict(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="") | variables,
        timeout=300,
    )
    assert result.returncode == code, (result.stdout + result.stderr)[-5000:]
    return Output(result.stdout, result.stderr)
