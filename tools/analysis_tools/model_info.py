"""Report size and cost of a model: the command line of ``mim-plugins info``."""

from mim_plugins.cli.commands import info
from mim_plugins.cli.commands.running import run_alone

if __name__ == "__main__":
    run_alone(info)
