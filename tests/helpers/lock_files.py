"""Lock files of work folders, as other processes leave them."""

import json
import os
import subprocess
import sys
import time

from mim_plugins.cli import WorkDirLock

FAST = dict(interval=0.1, timeout=1.0)


def owner(folder):
    return json.loads((folder / "run.lock").read_text())


def write_lock(folder, age=0.0, **changes):
    """Write a lock like that of another process."""
    with WorkDirLock(folder):
        content = owner(folder)
    file = folder / "run.lock"
    file.write_text(json.dumps(content | dict(token="another") | changes))
    os.utime(file, (time.time() - age,) * 2)


def dead_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid
