"""Train a model from a config: pre-training or fine-tuning, on one process or many.

Exit codes: 0 trained; 1 error, also if final weights or the state at a signal could not be saved;
85 saved after a signal to stop: start again with --resume; 130 Ctrl-C.
"""

import argparse

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.commands.running import wait_passively
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.cli.run_arguments import add_train_arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_train_arguments(parser)
    with one_line_on_ctrl_c():
        args = parser.parse_args(command_words())
    wait_passively()
    with one_line_on_ctrl_c(args.traceback):
        from mim_plugins.cli.training import run_training  # imports PyTorch

        run_training(args)


if __name__ == "__main__":
    main()
