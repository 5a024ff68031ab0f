"""--help of the tools, which must be quick."""

import subprocess
import sys

import pytest
from tool_runs import TOOLS

from mim_plugins.compat import breaks_multimodal_models

FOLDERS = (".", "analysis_tools", "dataset_converters", "misc", "model_converters")
# torchrun parses the options of launch.py
FILES = [
    file
    for folder in FOLDERS
    for file in sorted((TOOLS / folder).glob("*.py"))
    if "__main__" in file.read_text() and file.name != "launch.py"
]
HELP = """
import runpy, sys
sys.modules["torch"] = None  # an import fails
for file in sys.argv[1:]:
    sys.argv = [file, "--help"]
    sys.path.insert(0, file.rpartition("/")[0])
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as stop:
        assert stop.code == 0, file
    except ImportError as error:
        sys.exit(f"{file}: {error}")
    sys.path.pop(0)
"""


@pytest.mark.skipif(
    breaks_multimodal_models(), reason="mmpretrain has to be imported to adapt it to transformers"
)
def test_help_of_all_tools_imports_no_torch():
    command = [sys.executable, "-c", HELP, *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage:") == len(FILES) >= 21
