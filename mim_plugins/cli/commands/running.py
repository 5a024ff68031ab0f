"""Parsers of the subcommands, in the console script and alone in a tool."""

import argparse
from types import ModuleType


def describe(command: ModuleType) -> dict:
    """Return the arguments of a command's parser."""
    return dict(description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)


def run_alone(command: ModuleType) -> None:
    """Parse the command line of a tool that is one subcommand, and execute it."""
    parser = argparse.ArgumentParser(**describe(command))
    command.add_arguments(parser)
    command.run(parser.parse_args(), parser)
