"""Hook that keeps a loadable checkpoint at every moment of a run."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...config import accepted_arguments, unknown_name
from ...errors import WorkDirError
from ...registry import HOOKS
from ..guards.guarded_metrics import guard_metrics
from ..guards.guarded_writers import guard_writers
from ..guards.guarded_writes import free_space, try_writing
from ..resume.atomic_local_backend import ATOMIC_BACKEND
from ..resume.best_checkpoints import move_best_into_folder, remember_best
from ..resume.captured_checkpoint import complete_content
from ..resume.checkpoint_compatibility import add_compatibility_meta
from ..resume.checkpoint_writer import CheckpointWriter, Outcome, agree, describe_failure
from ..resume.deferred_removals import DeferredRemovals
from ..resume.early_stopping import add_early_stopping, restore_early_stopping
from ..resume.loaded_checkpoint import check_loaded
from ..resume.model_settings import compare_settings, note_settings
from ..resume.resumable_content import check_savable, make_resumable
from ..resume.resume_source import set_resume_source
from ..resume.resumed_schedule import apply_config_schedule
from ..resume.run_checkpoints import next_try, remove_files, remove_partial_files, try_publishing
from ..sharding.sharded_run import gathered_state, prepare_sharded_run
from .best_metric import lacks_metric

INTERRUPTED = "interrupted.pth"  # removed when the next regular checkpoint is complete


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, safe against kills, full disks and corrupt files.

    A checkpoint appears under its name only when it is complete and flushed to the disk. Then
    ``last_checkpoint`` is updated, and only then are old files removed, so the disk needs room for
    one checkpoint more than ``max_keep_ckpts``. If saving fails, an error is logged, and the next
    interval or the end of the run tries again.

    A thread writes a copy of the state while training continues. At most one copy exists: the next
    save waits for it, and so does the end of the run. The best checkpoint is not copied: training
    waits for its file.

    With ``save_optimizer=False``, the regular files contain only weights. A run is then resumed
    from the files of :class:`TimedCheckpointHook` and :class:`PreemptionHook`, which always contain
    the optimizer.

    Every file ends with a digest of its content. A resumed run starts from the newest intact file
    (:func:`find_resumable`). Before anything of that file is used, it is checked completely and
    compared with the model and the optimizer (:func:`check_loaded`). Learning rate and schedule
    follow the config (:func:`apply_config_schedule`).

    Args:
        *args: positional arguments of MMEngine's hook.
        background: write a copy while training continues; False: no copy, training waits.
        backend_args: file backend of MMEngine's hook; the default writes local files atomically.
        **kwargs: arguments of MMEngine's hook; an unknown name raises TypeError.
    """

    backend_args: dict | None
    file_backend: Any
    last_ckpt: str | None
    newest: str = ""  # after a failed save: description of the newest complete checkpoint

    def __init__(
        self, *args: Any, background: bool = True, backend_args: dict | None = None, **kwargs: Any
    ) -> None:
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
        self._writer = CheckpointWriter(background, self._errors)

    @property
    def can_resume_from_regular_files(self) -> bool:
        """Whether the regular files contain more than weights."""
        return self.save_optimizer and self.save_param_scheduler

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, see :func:`set_resume_source`.

        Raises:
            CheckpointError: on all processes, if no checkpoint can be resumed from.
        """
        guard_writers(runner)
        prepare_sharded_run(runner)
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
        restore_early_stopping(runner)
        if runner._resume:
            move_best_into_folder(self)
        if self._is_local:
            remove_partial_files(runner, self.out_dir)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the loaded checkpoint and adapt its schedule and learning rate to the config."""
        check_loaded(runner, checkpoint)
        if runner._resume:
            settings = compare_settings(runner, checkpoint["meta"].get("model_settings"))[1]
            for change in filter(None, (settings, *apply_config_schedule(runner, checkpoint))):
                runner.logger.warning(f"Resuming: {change}")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add optimizer type, numbers of heads and early stopping; convert all to plain data."""
        add_compatibility_meta(runner, checkpoint)
        add_early_stopping(runner, checkpoint)
        make_resumable(runner, checkpoint)

    def after_train(self, runner: Runner) -> None:
        """Complete the last save, and repeat it if it failed.

        Raises:
            WorkDirError: it failed again.
        """
        self.finish_saving()
        if self._is_behind:
            step = runner.epoch if self.by_epoch else runner.iter
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, meta)
            self.finish_saving()
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

    def save_iteration(self, runner: Runner, name: str, prospect: str) -> None:
        """Begin to save the run after the current iteration, see :meth:`finish_saving`.

        The file is for resuming, so it contains the optimizer even without ``save_optimizer``.
        """
        meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
        self._save_file(runner, name, meta, prospect, is_complete=True)

    def finish_saving(self) -> bool:
        """Wait for the last save in all processes and return whether it succeeded."""
        return self._writer.finish()

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict, then: Callable[[], object] | None = None
    ) -> None:
        """Save ``step``, update ``last_checkpoint``, remove outdated files, then call ``then``."""
        if self._deferred_saves is not None:
            self._deferred_saves.append((step, meta))
            return
        self.finish_saving()
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
        names = [*map(self.filename_tmpl.format, outdated)]
        if self.can_resume_from_regular_files or step == end:
            names.append(INTERRUPTED)
        remove = partial(remove_files, self.file_backend, self.out_dir, names)

        def finish(is_saved: bool) -> None:
            if is_saved:
                try_writing(runner.logger, f"'{self.out_dir}'", remove, self._errors)
            if then is not None:
                then()

        def settle(outcome: Outcome) -> None:
            self._note(outcome)
            self.last_ckpt = path if outcome.is_saved else self.last_ckpt
            self._is_behind = self.last_ckpt != path
            if not outcome.is_saved and self.max_keep_ckpts > 0:
                self._set_kept_steps(runner, before)

        self._save_file(runner, name, meta, prospect, finish, settle)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save as MMEngine does, but remove the old best file only when the new one is complete."""
        if not self.save_best or lacks_metric(self.key_indicators, metrics, runner):
            return
        self.finish_saving()
        backend, restore = self.file_backend, remember_best(self, runner)
        self.file_backend = removals = DeferredRemovals(backend)
        deferred: list[tuple[int, dict]] = []
        self._deferred_saves, outcome = deferred, Outcome(True)
        try:
            with complete_content(partial(make_resumable, runner)), gathered_state(runner, False):
                super()._save_best_checkpoint(runner, metrics)
        except self._errors as error:
            prospect = "training continues without it"
            outcome = self._describe(runner, "the best checkpoint", prospect)(error)
        finally:
            self.file_backend, self._deferred_saves = backend, None
        if not agree(outcome, self._note):
            restore()
            return
        remove = partial(removals.perform, runner.logger, self._errors)
        # save the last checkpoint again, because it must contain the path of the best one
        for step, meta in deferred:
            self._save_checkpoint_with_step(runner, step, meta, remove)
        if not deferred:
            remove()

    def _save_file(
        self,
        runner: Runner,
        name: str,
        meta: dict,
        prospect: str,
        finish: Callable[[bool], object] = bool,
        settle: Callable[[Outcome], object] | None = None,
        is_complete: bool = False,
    ) -> None:
        """Begin to save a file, see :meth:`CheckpointWriter.save`."""
        path = self.file_backend.join_path(self.out_dir, name)
        save = partial(
            runner.save_checkpoint,
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=is_complete or self.save_optimizer,
            save_param_scheduler=is_complete or self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        describe = self._describe(runner, path, prospect)
        self._writer.save(runner, path, save, describe, finish, settle or self._note)

    def _describe(self, runner: Runner, name: str, prospect: str) -> Callable[[Exception], Outcome]:
        folder = self.out_dir if self._is_local else None
        return partial(describe_failure, runner, name, prospect, folder, self.last_ckpt)

    def _note(self, outcome: Outcome) -> None:
        self.newest = outcome.newest or self.newest

    def _set_kept_steps(self, runner: Runner, steps: list[int]) -> None:
        self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
        runner.message_hub.update_info("keep_ckpt_ids", steps)
