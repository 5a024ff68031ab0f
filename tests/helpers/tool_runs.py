"""Running a command-line tool in the process of the test."""

import runpy
import sys
from typing import NamedTuple


class Result(NamedTuple):
    """What a command leaves behind."""

    returncode: int
    stdout: str
    stderr: str


def run_tool(tool, arguments, monkeypatch, capsys):
    """Run a tool's file as the command line would."""
    monkeypatch.setattr(sys, "argv", [str(tool), *map(str, arguments)])
    try:
        runpy.run_path(str(tool), run_name="__main__")
        message = None
    except SystemExit as stop:
        message = stop.code
    out, err = capsys.readouterr()
    if isinstance(message, int):
        return Result(message, out, err)
    return Result(0 if message is None else 1, out, f"{err}{message}\n" if message else err)
