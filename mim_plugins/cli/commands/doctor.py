"""Check the environment and the needs of a config, and suggest fixes.

Prints one line per check: OK, WARN or FAIL. Exit status 1: at least one FAIL. With broken packages,
use tools/doctor.py, which imports none.
"""

import argparse
import runpy
import sys
from typing import Any

from ...paths import TOOLS_DIR


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    _tool()["add_arguments"](parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    _tool()["report"](args)


def _tool() -> dict[str, Any]:
    """Return the names of the tool, which needs neither this package nor MMEngine."""
    folder = TOOLS_DIR / "misc"
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return runpy.run_path(str(folder / "doctor.py"))
