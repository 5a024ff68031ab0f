"""Runs that are identified by their work folder."""

import os
from pathlib import Path

from mmengine.runner import Runner

from ..checkpoints.literal_config import literal_config
from ..errors import WorkDirError
from ..file_names import printable
from .own_runs import WRITTEN_BY, config_path
from .pretraining.run_results import write_results
from .training import train, train_arguments


def find_run_config(run: Path) -> Path:
    """Return the config of the run in a work folder, beside it or in it.

    Other Python files are left out, because reading a config executes it.

    Raises:
        WorkDirError: the folder does not exist, or its config is not unique.
    """
    if not run.is_dir():
        raise WorkDirError(f"there is no work folder '{printable(run)}'")
    beside = config_path(run)
    if is_run_config(beside):
        return beside
    within = [file for file in sorted(run.glob("*.py")) if is_run_config(file)]
    if len(within) != 1:
        raise WorkDirError(
            f"the config of the run is unknown: there is none at '{printable(beside)}', and the"
            f" folder '{printable(run)}' contains {len(within)}; give it with tools/train.py CONFIG"
            " --resume, or to fine-tune with --config"
        )
    return within[0]


def is_run_config(path: Path) -> bool:
    """Return whether a Python file is the config of a run, without executing it.

    It is one if a command of this package wrote it, or if it contains the dicts ``model`` and
    ``train_dataloader``, as the configs do that MMEngine writes to work folders.
    """
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    if WRITTEN_BY in text.partition("\n")[0]:
        return True
    variables = literal_config(text)
    return all(type(variables.get(name)) is dict for name in ("model", "train_dataloader"))


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
