"""Check the environment and the needs of a config, and suggest fixes.

Prints one line per check: OK, WARN or FAIL. Exit status 1: at least one FAIL. Runs even if packages
are missing or broken.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator

from checks.config_needs import check_config, check_folder
from checks.machine import check_disk, check_gpu, check_shared_memory, check_threads
from checks.packages import (
    FAIL,
    Result,
    check_mmcv,
    check_packages,
    check_python,
    check_torch,
    first_line,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    home = os.path.expanduser  # mim_plugins, which expands words, may be broken
    parser.add_argument("--config", type=home, help="also check the needs of this config")
    parser.add_argument(
        "--data-root", type=home, help="folder of the data; overrides that of the config"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="KEY=VALUE", help="as for train.py"
    )
    parser.add_argument(
        "--work-dir", type=home, default="work_dirs", help="folder of the checkpoints"
    )


def report(args: argparse.Namespace) -> None:
    """Print the results and exit."""
    failed = False
    for result in run_checks(args):
        print(f"{result.level:<4}  {result.text}", flush=True)
        failed |= result.level == FAIL
    sys.exit(1 if failed else 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    try:
        report(parser.parse_args())
    except BrokenPipeError:  # the reader of the output has ended; the checks catch their own errors
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def run_checks(args: argparse.Namespace) -> Iterator[Result]:
    """Yield all results; a check that raises yields a FAIL."""
    checks: list[Callable[[], Iterator[Result]]] = [
        check_python,
        check_torch,
        check_mmcv,
        check_packages,
        check_gpu,
        check_threads,
        check_shared_memory,
        lambda: check_disk(args.work_dir),
    ]
    if args.config:
        checks.append(lambda: check_config(args.config, args.data_root, args.cfg_options))
    elif args.data_root:
        checks.append(lambda: check_folder(args.data_root))
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # a broken installation may raise any exception
            yield Result(FAIL, f"a check raised {type(error).__name__}: {first_line(error)}")


if __name__ == "__main__":
    main()
