"""Export an encoder: the command line of ``mim-plugins export``."""

from mim_plugins.cli.commands import export
from mim_plugins.cli.commands.running import run_alone

if __name__ == "__main__":
    run_alone(export)
