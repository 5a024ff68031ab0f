"""Evaluate a checkpoint on the test data of a config."""

import argparse

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.cli.run_arguments import add_run_arguments

METRIC_FILES = (".json", ".pkl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_run_arguments(parser)
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument(
        "--tta", action="store_true", help="average over the scales and flips of the config"
    )
    parser.add_argument("--out", help="write the metrics to this .json or .pkl file")
    with one_line_on_ctrl_c():
        args = parser.parse_args(command_words())
    if args.out and not args.out.endswith(METRIC_FILES):
        parser.error(f"--out '{args.out}' must end in one of {' '.join(METRIC_FILES)}")
    with one_line_on_ctrl_c(args.traceback):
        from mim_plugins.cli.testing import run_test  # imports PyTorch

        run_test(args)


if __name__ == "__main__":
    main()
