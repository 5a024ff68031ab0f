"""Compare a model with reference numbers: the command line of model_converters/check_parity.py."""

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "model_converters"

if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER))
    runpy.run_path(str(FOLDER / "check_parity.py"), run_name="__main__")
