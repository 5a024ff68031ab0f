"""Predict classes: the command line of ``mim-plugins predict``."""

from mim_plugins.cli.commands import predict
from mim_plugins.cli.commands.running import run_alone

if __name__ == "__main__":
    run_alone(predict)
