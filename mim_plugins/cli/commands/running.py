"""Parsers of the subcommands, in the console script and alone in a tool."""

import argparse
import os
from types import ModuleType

from ..command_words import command_words
from ..ctrl_c import one_line_on_ctrl_c


def describe(command: ModuleType) -> dict:
    """Return the arguments of a command's parser."""
    return dict(description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)


def wait_passively() -> None:
    """Let idle threads of OpenMP sleep; must precede the import of PyTorch.

    By default they wait actively, which takes the cores from computing threads if other programs
    run, too: on two cores with ten busy processes, iterations took 3 to 10 times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def run_alone(command: ModuleType) -> None:
    """Parse the command line of a tool that is one subcommand, and execute it."""
    parser = argparse.ArgumentParser(**describe(command))
    command.add_arguments(parser)
    with one_line_on_ctrl_c():
        args = parser.parse_args(command_words())
    wait_passively()
    with one_line_on_ctrl_c(getattr(args, "traceback", False)):
        command.run(args, parser)
