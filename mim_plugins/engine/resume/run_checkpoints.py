"""Checkpoints in the folder of a run: the one to resume from, and the newest one."""

import contextlib
import glob
import os
import re
from collections.abc import Callable
from functools import partial
from logging import Logger
from pathlib import Path
from typing import Any
from weakref import WeakSet

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...checkpoints import PARTIAL_SUFFIX, write_atomically
from ...errors import CheckpointError
from ..guards.guarded_writes import try_writing
from .checkpoint_files import POINTER, check_integrity, find_resumable
from .checkpoint_names import checkpoint_folder, is_local, local_folder, template_pattern

_pointed: WeakSet[Any] = WeakSet()  # runs whose last_checkpoint names a file to resume from


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
    if not is_local(out_dir):
        return None, []  # MMEngine follows last_checkpoint
    folder = checkpoint_folder(runner.work_dir, out_dir)
    path, warnings = find_resumable(folder, Path(runner.work_dir, POINTER))
    if path is None:
        return None, [f"nothing to resume in {folder}: training starts at iteration 0"]
    return str(path), warnings


def find_newest(folder: str | None, runner: Runner, otherwise: str | None) -> Path | str | None:
    """Return the newest complete checkpoint that a run can be resumed from, None if there is none.

    Args:
        folder: folder of the checkpoints; None if it is not on a local disk.
        runner: runner of the run.
        otherwise: newest file if ``folder`` is None.
    """
    if folder is None:
        return otherwise
    try:
        return find_resumable(Path(folder), Path(runner.work_dir, POINTER)).path
    except (CheckpointError, OSError):  # no file is complete, or the disk is lost
        return None


def newest_complete(folder: str | None, runner: Runner, otherwise: str | None) -> str:
    """Describe the file of :func:`find_newest`, or that there is none, as part of a message."""
    newest = find_newest(folder, runner, otherwise)
    if newest is None:
        return "there is no complete checkpoint of this run"
    return f"the newest complete checkpoint is '{newest}'"


def last_of_training(runner: Runner) -> Path | None:
    """Return the local file that a run has ended with, None if there is none.

    It may contain weights alone. If the last regular checkpoint is older than the end, it is the
    file that the run can be resumed from.

    Args:
        runner: runner whose training is complete.
    """
    for hook in runner.hooks:
        folder = local_folder(hook, runner.work_dir) if isinstance(hook, CheckpointHook) else None
        if folder is None:
            continue
        saved = getattr(hook, "saved", None)
        last: Path | str | None = getattr(hook, "last_ckpt", None)
        if saved is None or saved.iteration != runner.iter:
            last = find_newest(folder, runner, None) or last
        if last is not None and Path(last).is_file():
            return Path(last)
    return None


def has_regular_end(hook: Any, runner: Runner) -> bool:
    """Return whether a regular checkpoint contains the end of a run.

    It may be the file that the run was resumed from, if an earlier process was killed after it had
    saved the end.

    Args:
        hook: the checkpoint hook, with its ``saved``, ``first_iter`` and ``last_ckpt``.
        runner: runner whose loop has ended.
    """
    folder = local_folder(hook, runner.work_dir)
    if hook.saved is not None:
        is_end = hook.saved.iteration == runner.iter
        return is_end and (folder is None or Path(hook.last_ckpt).exists())
    if not (runner._resume and runner._load_from and hook.first_iter == runner.iter):
        return False
    source = Path(runner._load_from).absolute()
    if not re.fullmatch(template_pattern(hook.filename_tmpl), source.name):
        return False
    if folder is None:  # on another storage, whose paths are text
        return str(runner._load_from).rpartition("/")[0] == str(hook.out_dir).rstrip("/")
    return source.parent == Path(folder) and source.exists()


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


def update_pointer(runner: Runner, path: str, has_optimizer: bool) -> None:
    """Write the path of a new checkpoint to ``last_checkpoint``.

    A file of weights never takes the place of one that the run can be resumed from. It is named
    only if there is none, because ``--resume`` then refuses it instead of starting a new run.

    Args:
        runner: runner of the run.
        path: the checkpoint.
        has_optimizer: whether it contains the optimizer, so that the run can be resumed from it.
    """
    if has_optimizer:
        _pointed.add(runner)
    elif runner in _pointed or (runner._resume and Path(runner.work_dir, POINTER).exists()):
        return
    write_pointer(runner, path)


def write_pointer(runner: Runner, path: str) -> None:
    """Write ``last_checkpoint``, on the main process.

    A failure is only logged, because the file is not indispensable.
    """
    if not is_main_process():
        return
    pointer = Path(runner.work_dir, POINTER)
    try:
        write_atomically(pointer, lambda partial: partial.write_bytes(os.fsencode(path)))
    except OSError as error:
        runner.logger.warning(
            f"{pointer} cannot be written ({error}); --resume finds {path} without it"
        )


def remove_partial_files(runner: Runner, folder: str) -> None:
    """Remove the incomplete files of a killed process, on the main process.

    Args:
        runner: runner of the run.
        folder: folder of the checkpoints; nothing is removed if it is not on a local disk.
    """
    if not is_main_process() or not is_local(folder):
        return
    checkpoints = Path(folder).glob(f"*.pth.*{PARTIAL_SUFFIX}")
    pointers = Path(runner.work_dir).glob(f"{POINTER}.*{PARTIAL_SUFFIX}")
    for file in (*checkpoints, *pointers):
        try_writing(runner.logger, f"'{file.parent}'", file.unlink)


def remove_files(
    logger: Logger, hook: Any, names: list[str], errors: tuple[type[Exception], ...]
) -> None:
    """Remove the existing ones of some checkpoints, on the main process; a failure is logged.

    Args:
        logger: logger of a failure.
        hook: the checkpoint hook, with its storage and folder.
        names: names of the files.
        errors: types of the errors of the storage.
    """
    if is_main_process():
        remove = partial(_remove, hook.file_backend, hook.out_dir, names)
        try_writing(logger, f"'{hook.out_dir}'", remove, errors)


def _remove(backend: Any, folder: str, names: list[str]) -> None:
    for path in (backend.join_path(folder, name) for name in names):
        if backend.isfile(path):
            backend.remove(path)
        elif backend.isdir(path):
            backend.rmtree(path)  # DeepSpeed's


def try_publishing(logger: Logger, path: str | None, publish: Callable[[], object]) -> None:
    """Publish a copy of a checkpoint; log a failure and remove the partial copy.

    Args:
        logger: logger of the failure.
        path: the checkpoint; the name of its copy also has a digest of 8 characters. MMEngine
            passes None for each metric of several that has no best checkpoint.
        publish: function that writes the copy.
    """
    if path is None:
        logger.warning("published_keys: a metric of save_best has no best checkpoint to publish")
        return
    file = Path(path)
    copies = f"{glob.escape(file.stem)}-{'[0-9a-f]' * 8}.pth"
    before = set(file.parent.glob(copies))
    try:
        publish()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        logger.error(f"the published copy of '{path}' could NOT be written: {reason}")
        for partial in set(file.parent.glob(copies)) - before:
            with contextlib.suppress(OSError):
                partial.unlink()
