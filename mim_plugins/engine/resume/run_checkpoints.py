"""Checkpoints in the folder of a run: the one to resume from, and the newest."""

from pathlib import Path

from mmengine.runner import Runner

from ...errors import CheckpointError
from .checkpoint_files import POINTER, check_integrity, find_resumable


def choose_resumable(runner: Runner, out_dir: str | None) -> tuple[str | None, list[str]]:
    """Return the file to resume from, the user's choice first, and warnings.

    Args:
        runner: the run; ``load_from`` is the user's choice.
        out_dir: of the checkpoint hook, before the run.

    Raises:
        CheckpointError: there should be a file, but none can be resumed from.
    """
    if runner._load_from is not None:
        check_integrity(runner._load_from)
        return runner._load_from, []
    if "://" in str(out_dir or ""):
        return None, []  # MMEngine asks last_checkpoint
    work_dir = Path(runner.work_dir)
    folder = work_dir if out_dir is None else Path(out_dir) / work_dir.name
    path, warnings = find_resumable(folder, work_dir / POINTER)
    if path is None:
        return None, [f"nothing to resume in {folder}: training starts at iteration 0"]
    return str(path), warnings


def newest_complete(folder: str | None, runner: Runner, otherwise: str | None) -> str:
    """Return a clause that names the newest complete checkpoint, or states that there is none.

    Args:
        folder: holds the checkpoints; None if that is not a folder of a local disk.
        runner: the run.
        otherwise: the newest file where ``folder`` is None.
    """
    newest: Path | str | None = otherwise
    if folder is not None:
        try:
            newest = find_resumable(Path(folder), Path(runner.work_dir, POINTER)).path
        except (CheckpointError, OSError):  # none is complete, or the disk is lost
            newest = None
    if newest is None:
        return "there is no complete checkpoint of this run"
    return f"the newest complete checkpoint is '{newest}'"


def next_try(step: int, end: int, interval: int, save_last: bool) -> str:
    """Return a clause about what follows a save that failed.

    Args:
        step: epochs or iterations done.
        end: those of the whole run.
        interval: those between two saves; not positive for none.
        save_last: whether the last step is saved in any case.
    """
    if step < end and (save_last or 0 < interval <= end - step):
        return "training goes on, and the next interval tries again"
    if step < end:
        return "training goes on, and its end tries again"
    return "this was the last save of the run"
