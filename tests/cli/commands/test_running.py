import os
import sys
from types import SimpleNamespace

from mim_plugins.cli.commands.running import describe, run_alone, wait_passively


def command(given):
    return SimpleNamespace(
        __doc__="Count.\n\n  1 2",
        add_arguments=lambda parser: parser.add_argument("number", type=int),
        run=lambda args, parser: given.append((args.number, parser.description)),
    )


def test_a_tool_parses_its_command_line_and_runs(monkeypatch):
    given = []
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setattr(sys, "argv", ["count.py", "3"])
    run_alone(command(given))
    assert given == [(3, "Count.\n\n  1 2")]


def test_idle_threads_sleep_unless_the_user_decides(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_help_keeps_the_lines_of_the_docstring():
    assert describe(command([]))["description"] == "Count.\n\n  1 2"
