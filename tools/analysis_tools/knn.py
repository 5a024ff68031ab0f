"""Compute k-NN accuracy: the command line of ``mim-plugins knn``."""

from mim_plugins.cli.commands import knn
from mim_plugins.cli.commands.running import run_alone

if __name__ == "__main__":
    run_alone(knn)
