"""Choice of the checkpoint that a run resumes from."""

from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.runner import Runner

from ...errors import CheckpointError
from .checkpoint_compatibility import check_compatible
from .checkpoint_files import read_structure
from .loaded_checkpoint import is_trusted
from .run_checkpoints import choose_resumable


def set_resume_source(runner: Runner, out_dir: str | None) -> None:
    """Set the checkpoint that a run resumes from, the same one on all processes.

    Args:
        runner: a resumed run whose checkpoint is not loaded yet.
        out_dir: ``out_dir`` of the checkpoint hook before the run.

    Raises:
        CheckpointError: on all processes, if the chosen file is missing, corrupt or of another
            model or optimizer, or if the folder contains corrupt checkpoints only.
    """
    outcome: list = [None]
    if is_main_process():
        try:
            outcome = [choose_resumable(runner, out_dir)]
        except CheckpointError as error:
            outcome = [error]
    broadcast_object_list(outcome)
    if isinstance(outcome[0], CheckpointError):
        raise outcome[0]
    runner._load_from, warnings = outcome[0]
    for warning in warnings:
        runner.logger.warning(warning)
    path = str(runner._load_from or "")
    if Path(path).is_file() and "://" not in path and not is_trusted(runner):
        # before any other hook reads the checkpoint
        check_compatible(runner, read_structure(Path(path)), path)
