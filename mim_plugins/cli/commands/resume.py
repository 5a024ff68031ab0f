"""Continue a run from its newest complete checkpoint.

RUN is the work folder. The config is the one that the run wrote into this folder, with all options
of the run. If it has none, RUN.py is read.
"""

import argparse

from ..run_arguments import add_traceback_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("run", help="work folder of the run")
    add_traceback_option(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ...engine.guards import guarded_console
    from ..reported_errors import user_errors
    from ..work_folder_runs import resume

    with guarded_console(), user_errors(args.traceback):
        resume(args.run)
