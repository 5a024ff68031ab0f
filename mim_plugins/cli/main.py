"""The console script ``mim-plugins``."""

import argparse
from collections.abc import Sequence
from importlib import import_module

from .command_words import command_words
from .commands.names import COMMANDS, PROGRAM
from .commands.running import describe, wait_passively
from .ctrl_c import one_line_on_ctrl_c


def build_parser() -> argparse.ArgumentParser:
    """Build the parser with all subcommands; this imports no PyTorch."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Pre-train with MixMAE, MR-MAE or MAE, and use the encoder."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f".commands.{name}", __package__)
        summary = (command.__doc__ or "").partition("\n")[0]
        subparser = subparsers.add_parser(name, help=summary, **describe(command))
        command.add_arguments(subparser)
        subparser.set_defaults(command=command, parser=subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute a command line, by default that of the process."""
    parser = build_parser()
    _complete(parser)
    with one_line_on_ctrl_c():
        args = parser.parse_args(command_words(arguments))
    wait_passively()
    with one_line_on_ctrl_c(getattr(args, "traceback", False)):
        args.command.run(args, args.parser)


def _complete(parser: argparse.ArgumentParser) -> None:
    """Complete the command line if a shell requests it and argcomplete is installed."""
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)
