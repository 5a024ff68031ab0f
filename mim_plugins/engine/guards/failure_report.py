"""Report of a failing process to its launcher, which decides whether to restart the run."""

import contextlib
import json
import os
import time
from pathlib import Path

ERROR_FILE_VARIABLE = "TORCHELASTIC_ERROR_FILE"
NO_RESTART_VARIABLE = "MIM_PLUGINS_NO_RESTART"


def report_failure(line: str, can_restart: bool, is_consequence: bool = False) -> None:
    """Write the cause of a failure to the file that torchrun reads; only the first one counts.

    A Slurm job has no such file. There, a failure after which a restart cannot help is written to
    the file in the environment variable ``MIM_PLUGINS_NO_RESTART``.

    Args:
        line: message without a line break.
        can_restart: whether a restart may help, as it does not after a user's error.
        is_consequence: whether another process has caused the failure.
    """
    file = os.environ.get(ERROR_FILE_VARIABLE)
    mark = None if can_restart else os.environ.get(NO_RESTART_VARIABLE)
    with contextlib.suppress(OSError):  # must not hide the error that is being reported
        if file and not Path(file).exists():
            report = dict(
                message=line,
                timestamp=int(time.time()),
                can_restart=can_restart,
                is_consequence=is_consequence,
            )
            partial = Path(f"{file}.{os.getpid()}")
            partial.write_text(json.dumps(report))
            os.replace(partial, file)
        if mark:
            Path(mark).write_text(f"{line}\n", encoding="utf-8", errors="backslashreplace")
