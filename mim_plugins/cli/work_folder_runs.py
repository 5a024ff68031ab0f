"""Runs that are identified by their work folder."""

import os
from pathlib import Path

from mmengine.runner import Runner

from ..errors import WorkDirError
from ..file_names import printable
from .pretraining.run_results import write_results
from .training import train, train_arguments


def find_run_config(run: Path) -> Path:
    """Return the config of the run in a work folder.

    Raises:
        WorkDirError: the folder does not exist, or its config is not unique.
    """
    if not run.is_dir():
        raise WorkDirError(f"there is no work folder '{printable(run)}'")
    beside = run.with_name(f"{run.name}.py")
    if beside.is_file():
        return beside
    within = sorted(run.glob("*.py"))
    if len(within) != 1:
        raise WorkDirError(
            f"the config of the run is unknown: there is no '{printable(beside)}', and the work"
            f" folder contains {len(within)} .py files; use tools/train.py CONFIG --resume"
        )
    return within[0]


def resume(run: str | os.PathLike) -> Runner:
    """Continue the run in a work folder; it ends with a curve and a summary.

    Raises:
        WorkDirError: see :func:`find_run_config`.
    """
    folder = Path(os.path.abspath(Path(run).expanduser()))
    config = find_run_config(folder)
    runner = train(train_arguments(config, folder, resume=True))
    write_results(runner, config)
    return runner
