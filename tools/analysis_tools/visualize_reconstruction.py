"""Draw reconstructions: the command line of ``mim-plugins reconstruct``."""

from mim_plugins.cli.commands import reconstruct
from mim_plugins.cli.commands.running import run_alone

if __name__ == "__main__":
    run_alone(reconstruct)
