"""Check the environment: the command line of misc/doctor.py."""

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "misc"

if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    runpy.run_path(str(FOLDER / "doctor.py"), run_name="__main__")
