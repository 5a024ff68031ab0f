"""Checkpoints in the folder of a run: the one to resume from, and the newest one."""

from pathlib import Path

from mmengine.runner import Runner

from ...errors import CheckpointError
from .checkpoint_files import POINTER, check_integrity, find_resumable


def choose_resumable(runner: Runner, out_dir: str | None) -> tuple[str | None, list[str]]:
    """Return the file to resume from, if any, and warnings.

    A file chosen by the user (``load_from``) takes precedence over the files of the run's folder.

    Args:
        runner: runner of the resumed run.
        out_dir: ``out_dir`` of the checkpoint hook before the run.

    Raises:
        CheckpointError: the chosen file, or every checkpoint in the folder, is corrupt.
    """
    if runner._load_from is not None:
        check_integrity(runner._load_from)
        return runner._load_from, []
    if "://" in str(out_dir or ""):
        return None, []  # MMEngine follows last_checkpoint
    work_dir = Path(runner.work_dir)
    folder = work_dir if out_dir is None else Path(out_dir) / work_dir.name
    path, warnings = find_resumable(folder, work_dir / POINTER)
    if path is None:
        return None, [f"nothing to resume in {folder}: training starts at iteration 0"]
    return str(path), warnings


def newest_complete(folder: str | None, runner: Runner, otherwise: str | None) -> str:
    """Describe the newest complete checkpoint, or that it does not exist, as part of a message.

    Args:
        folder: folder of the checkpoints; None if it is not on a local disk.
        runner: runner of the run.
        otherwise: newest file if ``folder`` is None.
    """
    newest: Path | str | None = otherwise
    if folder is not None:
        try:
            newest = find_resumable(Path(folder), Path(runner.work_dir, POINTER)).path
        except (CheckpointError, OSError):  # no file is complete, or the disk is lost
            newest = None
    if newest is None:
        return "there is no complete checkpoint of this run"
    return f"the newest complete checkpoint is '{newest}'"


def next_try(step: int, end: int, interval: int, save_last: bool) -> str:
    """Describe the next attempt after a failed save, as part of a message.

    Args:
        step: completed epochs or iterations.
        end: epochs or iterations of the complete run.
        interval: epochs or iterations between two saves; not positive to disable them.
        save_last: whether the last step is always saved.
    """
    if step < end and (save_last or 0 < interval <= end - step):
        return "training continues, and the next interval tries again"
    if step < end:
        return "training continues, and the end of the run tries again"
    return "this was the last save of the run"
