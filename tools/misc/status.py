"""Print the status of a run: the command line of ``mim-plugins status``."""

from mim_plugins.cli.commands import status
from mim_plugins.cli.commands.running import run_alone

if __name__ == "__main__":
    run_alone(status)
