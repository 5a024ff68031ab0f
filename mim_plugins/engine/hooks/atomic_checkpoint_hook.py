"""Hook that keeps a loadable checkpoint at every moment of a run."""

import copy
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...checkpoints import PARTIAL_SUFFIX
from ...config import accepted_arguments, unknown_name
from ...errors import WorkDirError
from ...registry import HOOKS
from ..guards.guarded_metrics import guard_metrics
from ..guards.guarded_writers import guard_writers
from ..guards.guarded_writes import free_space, try_writing
from ..optim.sharded_optimizer import gather_optimizer_state
from ..resume.atomic_local_backend import ATOMIC_BACKEND
from ..resume.checkpoint_compatibility import add_compatibility_meta
from ..resume.checkpoint_files import POINTER, best_in_folder
from ..resume.deferred_removals import DeferredRemovals
from ..resume.loaded_checkpoint import check_loaded
from ..resume.model_settings import compare_settings, note_settings
from ..resume.resumable_content import check_savable, make_resumable
from ..resume.resume_source import set_resume_source
from ..resume.resumed_schedule import apply_config_schedule
from ..resume.run_checkpoints import (
    newest_complete,
    next_try,
    remove_files,
    try_publishing,
    write_pointer,
)
from .best_metric import lacks_metric

INTERRUPTED = "interrupted.pth"
_BEST_PATHS = ("best_ckpt_path", "best_ckpt_path_dict")


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, safe against kills, full disks and corrupt files.

    A checkpoint appears under its name only when it is complete and flushed to the disk. Then
    ``last_checkpoint`` is updated, and only then are old files removed, so the disk needs room for
    one checkpoint more than ``max_keep_ckpts``. If saving fails, an error is logged, and the next
    interval or the end of the run tries again.

    Every file ends with a digest of its content. A resumed run starts from the newest intact file
    (:func:`find_resumable`). Before anything of that file is used, it is checked completely and
    compared with the model and the optimizer (:func:`check_loaded`). Learning rate and schedule
    follow the config (:func:`apply_config_schedule`).

    Args:
        *args: positional arguments of MMEngine's hook.
        **kwargs: arguments of MMEngine's hook; an unknown name raises TypeError.
        backend_args: file backend of MMEngine's hook; the default writes local files atomically.
    """

    backend_args: dict | None
    file_backend: Any
    last_ckpt: str | None
    newest: str = ""  # after a failed save: description of the newest complete checkpoint

    def __init__(self, *args: Any, backend_args: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, backend_args=backend_args, **kwargs)
        for name in self.args:  # MMEngine would pass them to save_checkpoint, hours later
            raise TypeError(unknown_name((), name, accepted_arguments(type(self))))
        self._deferred_saves: list[tuple[int, dict]] | None = None
        self._is_behind = False
        self._is_local = "://" not in str(self.out_dir or "")
        if self.backend_args is None and self.file_client_args is None and self._is_local:
            self.backend_args = dict(backend=ATOMIC_BACKEND)
        is_ours = self.backend_args == dict(backend=ATOMIC_BACKEND)
        # storage services raise errors of any type
        self._errors: tuple[type[Exception], ...] = (OSError,) if is_ours else (Exception,)

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, see :func:`set_resume_source`.

        Raises:
            CheckpointError: on all processes, if no checkpoint can be resumed from.
        """
        guard_writers(runner)
        if runner._resume:
            set_resume_source(runner, self.out_dir)

    def before_train(self, runner: Runner) -> None:
        """Check that the run can be saved; remove incomplete files of a killed process.

        Raises:
            ConfigError: the schedulers or the model cannot be saved, see :func:`check_savable`.
        """
        super().before_train(runner)
        check_savable(runner)
        note_settings(runner)
        guard_metrics(runner)
        if runner._resume:
            for key in set(_BEST_PATHS) & set(vars(self)):
                setattr(self, key, best_in_folder(getattr(self, key), self.out_dir))
        if is_main_process() and self._is_local:
            checkpoints = Path(self.out_dir).glob(f"*.pth.*{PARTIAL_SUFFIX}")
            pointers = Path(runner.work_dir).glob(f"{POINTER}.*{PARTIAL_SUFFIX}")
            for file in (*checkpoints, *pointers):
                try_writing(runner.logger, f"'{file.parent}'", file.unlink)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the loaded checkpoint and adapt its schedule and learning rate to the config."""
        check_loaded(runner, checkpoint)
        if runner._resume:
            settings = compare_settings(runner, checkpoint["meta"].get("model_settings"))[1]
            for change in filter(None, (settings, *apply_config_schedule(runner, checkpoint))):
                runner.logger.warning(f"Resuming: {change}")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add optimizer type and numbers of heads; convert everything to plain data."""
        add_compatibility_meta(runner, checkpoint)
        make_resumable(runner, checkpoint)

    def after_train(self, runner: Runner) -> None:
        """Repeat a failed last save; a second failure raises a WorkDirError."""
        if self._is_behind:
            step = runner.epoch if self.by_epoch else runner.iter
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, meta)
        if self._is_behind:
            raise WorkDirError(
                "the run ended without its final weights, which could not be saved:"
                f" {free_space(runner.work_dir)}; {self.newest}. Make room, then use --resume"
            )
        super().after_train(runner)

    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Publish a checkpoint; a failure is only logged, because the run is complete."""
        publish = super()._publish_model
        try_publishing(runner.logger, ckpt_path, lambda: publish(runner, ckpt_path))

    def save_interrupted(self, runner: Runner) -> bool:
        """Save the run after the current iteration and return whether this succeeded.

        The file is removed when the next regular checkpoint is complete.
        """
        meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
        return self._save_file(runner, INTERRUPTED, meta, "the run ends here")

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save ``step``, update ``last_checkpoint``, then remove outdated files."""
        if self._deferred_saves is not None:
            self._deferred_saves.append((step, meta))
            return
        before = list(getattr(self, "keep_ckpt_ids", ()))
        kept, outdated = [*(old for old in before if old != step), step], []
        if self.max_keep_ckpts > 0:
            kept, outdated = kept[-self.max_keep_ckpts :], kept[: -self.max_keep_ckpts]
            self._set_kept_steps(runner, kept)
        name = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", path)
        end = runner.max_epochs if self.by_epoch else runner.max_iters
        prospect = next_try(step, end, self.interval, self.save_last)
        if self._save_file(runner, name, meta, prospect):
            self.last_ckpt, self._is_behind = path, False
            names = [*map(self.filename_tmpl.format, outdated), INTERRUPTED]
            remove = partial(remove_files, self.file_backend, self.out_dir, names)
            try_writing(runner.logger, f"'{self.out_dir}'", remove, self._errors)
            return
        self._is_behind = self.last_ckpt != path
        if self.max_keep_ckpts > 0:
            self._set_kept_steps(runner, before)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save as MMEngine does, but remove the old best file only when the new one is complete."""
        if not self.save_best or lacks_metric(self.key_indicators, metrics, runner):
            return
        backend, hub = self.file_backend, runner.message_hub
        known = {key: value for key, value in hub.runtime_info.items() if key.startswith("best_")}
        paths = {key: copy.copy(getattr(self, key, None)) for key in _BEST_PATHS}
        self.file_backend = removals = DeferredRemovals(backend)
        deferred: list[tuple[int, dict]] = []
        self._deferred_saves = deferred
        failure = None
        try:
            super()._save_best_checkpoint(runner, metrics)
        except self._errors as error:
            failure = error
        finally:
            self.file_backend, self._deferred_saves = backend, None
        prospect = "training continues without it"
        if self._has_succeeded(runner, "the best checkpoint", failure, prospect):
            # save the last checkpoint again, because it must contain the path of the best one
            for step, meta in deferred:
                self._save_checkpoint_with_step(runner, step, meta)
            try:
                removals.perform()
            except self._errors as error:
                runner.logger.warning(f"the previous best checkpoint cannot be removed: {error}")
            return
        for key in [each for each in hub.runtime_info if each.startswith("best_")]:
            hub.pop_info(key)
        hub.update_info_dict(known)
        self.__dict__.update({key: path for key, path in paths.items() if path})

    def _save_file(self, runner: Runner, name: str, meta: dict, prospect: str) -> bool:
        """Save a file, update ``last_checkpoint`` and return whether the file was saved."""
        path = self.file_backend.join_path(self.out_dir, name)
        gather_optimizer_state(runner)
        failure = None
        try:
            runner.save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                write_pointer(runner, path)
        except self._errors as error:
            failure = error
        return self._has_succeeded(runner, path, failure, prospect)

    def _has_succeeded(
        self, runner: Runner, name: str, failure: Exception | None, prospect: str
    ) -> bool:
        """Return on all processes whether the main process, the only one that writes, succeeded.

        If the processes continued differently, the next collective operation would hang.
        """
        if failure is not None:
            folder = self.out_dir if self._is_local else None
            self.newest = newest_complete(folder, runner, self.last_ckpt)
            runner.logger.error(
                f"{name} could NOT be saved: {failure}; {free_space(runner.work_dir)}; {prospect}."
                f" Make room: {self.newest}"
            )
        outcome: list = [failure is None, self.newest]
        broadcast_object_list(outcome)
        is_saved, self.newest = outcome
        return is_saved

    def _set_kept_steps(self, runner: Runner, steps: list[int]) -> None:
        self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
        runner.message_hub.update_info("keep_ckpt_ids", steps)
