"""Hook that keeps a loadable checkpoint at every moment of a run."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...config import accepted_arguments, unknown_name
from ...registry import HOOKS
from ..guards.guarded_metrics import guard_metrics
from ..guards.guarded_writers import guard_writers
from ..resume.atomic_local_backend import use_atomic_backend
from ..resume.best_checkpoints import move_best_into_folder, replace_best
from ..resume.captured_checkpoint import saving
from ..resume.checkpoint_compatibility import add_compatibility_meta
from ..resume.checkpoint_names import INTERRUPTED, check_distinct, check_template
from ..resume.checkpoint_writer import CheckpointWriter, Outcome, describe_failure, lost_end
from ..resume.early_stopping import add_early_stopping, note_metrics, restore_early_stopping
from ..resume.kept_steps import read_kept_steps
from ..resume.loaded_checkpoint import check_loaded
from ..resume.model_settings import note_settings
from ..resume.resumable_content import check_savable, make_resumable
from ..resume.resume_source import set_resume_source
from ..resume.resumed_schedule import follow_config
from ..resume.run_checkpoints import (
    has_regular_end,
    next_try,
    remove_files,
    remove_partial_files,
    try_publishing,
    write_pointer,
)
from ..resume.saved_step import SavedStep, last_step, split_steps
from ..sharding.sharded_run import prepare_sharded_run
from .best_metric import lacks_metric


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, safe against kills, full disks and corrupt files.

    A checkpoint appears under its name only when it is complete and flushed to the disk, and ends
    with a digest of its content. Then ``last_checkpoint`` is updated, and only then are old files
    removed, so the disk needs room for one checkpoint more than ``max_keep_ckpts``. If saving
    fails, an error is logged, and the next interval or the end of the run tries again.

    A thread writes a copy of the state while training continues. The next save waits for it, and so
    does the end of the run. The best checkpoint is not copied: training waits for its file.

    With ``save_optimizer=False``, regular files contain only weights. A run is resumed from those
    of :class:`TimedCheckpointHook` and :class:`PreemptionHook`, which always contain the optimizer.

    A resumed run starts from the newest intact file (:func:`find_resumable`), which is compared
    with the model and the optimizer before it is used (:func:`check_loaded`). Learning rate and
    schedule follow the config (:func:`apply_config_schedule`).

    Args:
        *args: positional arguments of MMEngine's hook.
        background: write a copy while training continues; False: no copy, training waits.
        backend_args: file backend of MMEngine's hook; local files are written atomically.
        **kwargs: arguments of MMEngine's hook; an unknown name raises TypeError.

    Raises:
        ConfigError: ``filename_tmpl`` does not number the files, see :func:`check_template`.
    """

    backend_args: dict | None
    file_backend: Any
    last_ckpt: str | None
    newest: str = ""  # after a failed save: description of the newest complete checkpoint
    saved: SavedStep | None = None  # newest complete regular checkpoint of this process
    _tried: SavedStep | None = None  # the same, complete or not
    is_saving_run = False  # while it collects a checkpoint that a run can resume from
    _is_ending = False

    def __init__(
        self, *args: Any, background: bool = True, backend_args: dict | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, backend_args=backend_args, **kwargs)
        for name in self.args:  # MMEngine would pass them to save_checkpoint, hours later
            raise TypeError(unknown_name((), name, accepted_arguments(type(self))))
        check_template(self.filename_tmpl)
        self.deferred: list[tuple[int, dict]] | None = None
        self._errors = use_atomic_backend(self)
        self._has_training_state = self.save_optimizer and self.save_param_scheduler
        self._writer = CheckpointWriter(background, self._errors)

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, see :func:`set_resume_source`.

        Raises:
            CheckpointError: on all processes, if no checkpoint can be resumed from.
            ConfigError: two hooks save the same files.
        """
        check_distinct(runner)
        guard_writers(runner)
        prepare_sharded_run(runner)
        if runner._resume and not runner._has_loaded:
            set_resume_source(runner, self.out_dir)

    def before_train(self, runner: Runner) -> None:
        """Check that the run can be saved; remove incomplete files of a killed process.

        Raises:
            ConfigError: the schedulers or the model cannot be saved, see :func:`check_savable`.
        """
        self._is_main = self is next(h for h in runner.hooks if isinstance(h, AtomicCheckpointHook))
        self._steps_key = read_kept_steps(self, runner, partial(super().before_train, runner))
        self.first_iter = runner.iter
        check_savable(runner)
        note_settings(runner)
        guard_metrics(runner)
        restore_early_stopping(runner)
        if runner._resume:
            runner._has_loaded = True  # without a file, MMEngine would later load one of this run
            move_best_into_folder(self)
        remove_partial_files(runner, self.out_dir)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the loaded checkpoint and adapt its schedule and learning rate to the config."""
        check_loaded(runner, checkpoint)
        if runner._resume:
            follow_config(runner, checkpoint)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add optimizer type, numbers of heads and early stopping; convert all to plain data."""
        add_compatibility_meta(runner, checkpoint)
        add_early_stopping(runner, checkpoint)
        make_resumable(runner, checkpoint)

    def after_train(self, runner: Runner) -> None:
        """Complete the last save. Save the end of a run that stopped early or failed to save it.

        Raises:
            WorkDirError: the end could not be saved.
        """
        self.finish_saving()
        end = last_step(runner, self.by_epoch, self._tried)
        lacks_end = self.save_last and runner.iter > 0 and not has_regular_end(self, runner)
        if (lacks_end and self.saved != end) or self._tried != self.saved:
            self._is_ending = True
            self._save_checkpoint_with_step(runner, end.step, end.meta())
            self.finish_saving()
        if self._tried != self.saved:
            raise lost_end(runner, self.newest)
        if self._is_main and self.saved == end and not self._has_training_state:
            write_pointer(runner, str(self.last_ckpt))
        if self._is_main and has_regular_end(self, runner):
            remove_files(runner.logger, self, [INTERRUPTED], self._errors)
        super().after_train(runner)

    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        """Publish a checkpoint; a failure is only logged, because the run is complete."""
        try_publishing(runner.logger, ckpt_path, partial(super()._publish_model, runner, ckpt_path))

    def save_iteration(self, runner: Runner, name: str, prospect: str) -> None:
        """Begin to save the run after the current iteration, see :meth:`finish_saving`.

        The file is for resuming, so it contains the optimizer even without ``save_optimizer``.
        """
        meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
        self._save_file(runner, name, meta, prospect, is_complete=True)

    def finish_saving(self) -> bool:
        """Wait for the last save in all processes and return whether it succeeded."""
        return self._writer.finish()

    def note(self, outcome: Outcome) -> None:
        """Remember the newest complete checkpoint after a failed save."""
        self.newest = outcome.newest or self.newest

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict, then: Callable[[], object] = lambda: None
    ) -> None:
        """Save ``step``, update ``last_checkpoint``, remove outdated files, then call ``then``."""
        if self.deferred is not None:
            self.deferred.append((step, meta))
            return
        self.finish_saving()
        before = list(getattr(self, "keep_ckpt_ids", ()))
        kept, outdated = split_steps(before, step, self.max_keep_ckpts)
        if self.max_keep_ckpts > 0:
            self._set_kept_steps(runner, kept)
        name = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", path)
        length = runner.max_epochs if self.by_epoch else runner.max_iters
        end = step if self._is_ending else length
        prospect = next_try(step, end, self.interval, self.save_last)
        names = [*map(self.filename_tmpl.format, outdated)]
        if self._has_training_state:
            names.append(INTERRUPTED)

        def finish(is_saved: bool) -> None:
            if is_saved:
                remove_files(runner.logger, self, names, self._errors)
            then()

        self._tried = tried = SavedStep(step, meta["epoch"], meta["iter"])

        def settle(outcome: Outcome) -> None:
            self.note(outcome)
            if outcome.is_saved:
                self.last_ckpt, self.saved = path, tried
            elif self.max_keep_ckpts > 0:
                self._set_kept_steps(runner, before)

        self._save_file(runner, name, meta, prospect, finish, settle)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Save as MMEngine does, but remove the old best file only when the new one is complete."""
        note_metrics(runner, metrics)
        if not self.save_best or lacks_metric(self.key_indicators, metrics, runner):
            return
        self.finish_saving()
        save = partial(super()._save_best_checkpoint, runner, metrics)
        prospect = "training continues without it"
        describe = partial(describe_failure, self, runner, "the best checkpoint", prospect)
        saves, remove = replace_best(self, runner, save, self._errors, describe)
        # save the last checkpoint again, because it must contain the path of the best one
        for step, meta in saves:
            self._save_checkpoint_with_step(runner, step, meta, remove)
        if not saves:
            remove()

    def _save_file(
        self,
        runner: Runner,
        name: str,
        meta: dict,
        prospect: str,
        finish: Callable[[bool], object] | None = None,
        settle: Callable[[Outcome], object] | None = None,
        is_complete: bool = False,
    ) -> None:
        """Begin to save a file, see :meth:`CheckpointWriter.save`."""
        path = self.file_backend.join_path(self.out_dir, name)
        save = saving(self, runner, name, meta, is_complete)
        describe = partial(describe_failure, self, runner, path, prospect)
        self.is_saving_run = is_complete or self._has_training_state
        settle, has_optimizer = settle or self.note, is_complete or self.save_optimizer
        self._writer.save(runner, path, save, describe, finish, settle, has_optimizer)
        self.is_saving_run = False

    def _set_kept_steps(self, runner: Runner, steps: list[int]) -> None:
        self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
        runner.message_hub.update_info(self._steps_key, steps)
