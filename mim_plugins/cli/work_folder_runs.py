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
    """Return the config of the run in a work folder: the one that the run wrote into the folder.

    It contains all options of the run; of several, it is the newest. Without it, the config beside
    the folder is returned. Other Python files are left out, because reading a config executes it.

    Raises:
        WorkDirError: the folder does not exist, or its config is not unique.
    """
    if not run.is_dir():
        raise WorkDirError(f"there is no work folder '{printable(run)}'")
    beside = config_path(run)
    within = [file for file in sorted(run.glob("*.py")) if _is_run_config(file)]
    written_by_run = [file for file in within if not _is_of_command(file)]
    if written_by_run:
        return max(written_by_run, key=lambda file: file.stat().st_mtime_ns)
    found = [beside] if _is_run_config(beside) else within
    if len(found) != 1:
        more = "" if found else f", and there is no '{printable(beside)}'"
        raise WorkDirError(
            f"the config of the run is unknown: the folder '{printable(run)}' contains {len(found)}"
            f" instead of one{more}; give it with tools/train.py CONFIG --work-dir"
            f" {printable(run)} --resume, or to fine-tune with --config"
        )
    return found[0]


def _is_run_config(path: Path) -> bool:
    """Return whether a Python file is the config of a run, without executing it.

    It is one if a command of this package wrote it, or if it contains the dicts ``model`` and
    ``train_dataloader``, as the configs do that MMEngine writes to work folders.
    """
    if not path.is_file():
        return False
    if _is_of_command(path):
        return True
    variables = literal_config(_text(path))
    return all(type(variables.get(name)) is dict for name in ("model", "train_dataloader"))


def _is_of_command(path: Path) -> bool:
    """Return whether a command wrote the file, for a run in a folder beside the file."""
    return WRITTEN_BY in _text(path).partition("\n")[0]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def resume(run: str | os.PathLike) -> Runner:
    """Continue the run in a work folder, in one process; it ends with a curve and a summary.

    Raises:
        WorkDirError: see :func:`find_run_config`.
    """
    folder = Path(os.path.abspath(Path(run).expanduser()))
    config = find_run_config(folder)
    print(f"config: {printable(config)}", flush=True)
    beside = config_path(folder)
    if beside.is_file() and beside.stat().st_mtime_ns > config.stat().st_mtime_ns:
        print(
            f"'{printable(beside)}' is newer but not read; to continue with its settings, use"
            f" tools/train.py {printable(beside)} --work-dir {printable(folder)} --resume",
            flush=True,
        )
    runner = train(train_arguments(config, folder, resume=True))
    write_results(runner, config)
    return runner
