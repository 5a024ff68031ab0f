from importlib.util import find_spec
from pathlib import Path

from mim_plugins.cli import commands
from mim_plugins.cli.commands.names import COMMANDS


def test_each_command_has_a_module_and_is_listed_once():
    assert len(set(COMMANDS)) == len(COMMANDS)
    for name in COMMANDS:
        assert find_spec(f"mim_plugins.cli.commands.{name}"), name


def test_each_module_that_runs_a_command_is_listed():
    files = Path(commands.__file__).parent.glob("*.py")
    found = {file.stem for file in files if "def add_arguments(" in file.read_text()}
    assert found == set(COMMANDS)
