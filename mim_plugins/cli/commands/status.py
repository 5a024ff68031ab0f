"""Print the status of a running or ended run.

The status contains iteration, losses, images per second, the last checkpoint and restarts.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("work_dir", help="work folder of the run")
    parser.add_argument("--json", action="store_true", help="print the status file")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ..reported_errors import user_errors
    from ..status import print_status

    with user_errors():
        print_status(args.work_dir, args.json)
