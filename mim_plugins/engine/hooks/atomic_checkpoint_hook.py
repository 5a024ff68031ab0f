"""Hook that keeps a loadable checkpoint at every moment of a run."""

import copy
from collections import deque
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...checkpoints import PARTIAL_SUFFIX, write_atomically
from ...config import accepted_arguments, unknown_name
from ...errors import CheckpointError, WorkDirError
from ...registry import HOOKS
from ..guards.guarded_writers import guard_writers
from ..guards.guarded_writes import free_space, try_writing
from ..optim.sharded_optimizer import gather_optimizer_state
from ..resume.atomic_local_backend import ATOMIC_BACKEND
from ..resume.checkpoint_files import POINTER, best_in_folder, read_structure
from ..resume.checkpoint_fit import check_fit, note_kinds
from ..resume.deferred_removals import DeferredRemovals
from ..resume.loaded_checkpoint import check_loaded, is_trusted
from ..resume.resumed_schedule import apply_config_schedule, make_states_plain
from ..resume.run_checkpoints import choose_resumable, newest_complete, next_try

INTERRUPTED = "interrupted.pth"
_BEST_PATHS = ("best_ckpt_path", "best_ckpt_path_dict")


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook, safe against kills, full disks and damaged files.

    A file gets its name when it is complete and on the disk; then ``last_checkpoint`` changes,
    and only then old files go, so that the disk needs room for one checkpoint more than
    ``max_keep_ckpts``. If saving fails, an error is logged, and the next interval or the end of the
    run tries again.

    A file ends in a digest over all of it. A resumed run starts from the newest intact file
    (:func:`find_resumable`), all of which is checked, as are model and optimizer against it
    (:func:`check_loaded`), before any of it is used. Schedules are the config's.

    Args:
        *args: positional arguments of MMEngine's hook.
        **kwargs: arguments of MMEngine's hook; an unknown name raises TypeError.
        backend_args: of MMEngine's hook; by default files are local, and written atomically.
    """

    backend_args: dict | None
    file_backend: Any
    last_ckpt: str | None
    newest: str = ""  # complete checkpoint: a clause that names it, once a save has failed

    def __init__(self, *args: Any, backend_args: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, backend_args=backend_args, **kwargs)
        for name in self.args:  # which MMEngine would hand to save_checkpoint, hours later
            raise TypeError(unknown_name((), name, accepted_arguments(type(self))))
        self._postponed: list[tuple[int, dict]] | None = None
        self._is_behind = False
        self._is_local = "://" not in str(self.out_dir or "")
        if self.backend_args is None and self.file_client_args is None and self._is_local:
            self.backend_args = dict(backend=ATOMIC_BACKEND)

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from.

        Raises:
            CheckpointError: on all processes, if there should be one but none fits or is intact.
        """
        guard_writers(runner)
        if not runner._resume:
            return
        outcome: list = [None]
        if is_main_process():
            try:
                outcome = [choose_resumable(runner, self.out_dir)]
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
            # before the other hooks see it
            check_fit(runner, read_structure(Path(path)), path)

    def before_train(self, runner: Runner) -> None:
        """Remove what a killed process left half written."""
        super().before_train(runner)
        if runner._resume:
            for key in set(_BEST_PATHS) & set(vars(self)):
                setattr(self, key, best_in_folder(getattr(self, key), self.out_dir))
        if is_main_process() and self._is_local:
            checkpoints = Path(self.out_dir).glob(f"*.pth.*{PARTIAL_SUFFIX}")
            pointers = Path(runner.work_dir).glob(f"{POINTER}.*{PARTIAL_SUFFIX}")
            for partial in (*checkpoints, *pointers):
                try_writing(runner.logger, f"'{partial.parent}'", partial.unlink)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check what was loaded, see :func:`check_loaded`; schedule and rate follow the config."""
        check_loaded(runner, checkpoint)
        if runner._resume:
            for change in apply_config_schedule(runner, checkpoint):
                runner.logger.warning(f"Resuming: {change}")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note what no tensor shows; leave out functions, which could not be loaded."""
        note_kinds(runner, checkpoint)
        make_states_plain(checkpoint)

    def after_train(self, runner: Runner) -> None:
        """Try the last save again if it failed; a second failure is a WorkDirError."""
        if self._is_behind:
            step = runner.epoch if self.by_epoch else runner.iter
            meta = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, meta)
        if self._is_behind:
            raise WorkDirError(
                "the run ended without its final weights, which could not be saved:"
                f" {free_space(runner.work_dir)}; {self.newest}. Make room, then --resume"
            )
        super().after_train(runner)

    def save_interrupted(self, runner: Runner) -> bool:
        """Save the run as it is after the current iteration; returns False if that failed.

        The file is removed when the next regular checkpoint is complete.
        """
        meta = dict(epoch=runner.epoch, iter=runner.iter + 1)
        return self._write(runner, INTERRUPTED, meta, "the run ends here")

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save ``step``, let ``last_checkpoint`` name it, then remove what is too old."""
        if self._postponed is not None:
            self._postponed.append((step, meta))
            return
        before = list(getattr(self, "keep_ckpt_ids", ()))
        kept, outdated = [*(old for old in before if old != step), step], []
        if self.max_keep_ckpts > 0:
            kept, outdated = kept[-self.max_keep_ckpts :], kept[: -self.max_keep_ckpts]
            self._remember_kept(runner, kept)
        name = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", path)
        end = runner.max_epochs if self.by_epoch else runner.max_iters
        prospect = next_try(step, end, self.interval, self.save_last)
        if self._write(runner, name, meta, prospect):
            self.last_ckpt, self._is_behind = path, False
            outdated_names = [*map(self.filename_tmpl.format, outdated), INTERRUPTED]
            try_writing(runner.logger, f"'{self.out_dir}'", lambda: self._remove(outdated_names))
            return
        self._is_behind = self.last_ckpt != path
        if self.max_keep_ckpts > 0:
            self._remember_kept(runner, before)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """As MMEngine's, but the best file so far goes when the new one is complete."""
        if not self.save_best:
            return
        backend, hub = self.file_backend, runner.message_hub
        known = {key: value for key, value in hub.runtime_info.items() if key.startswith("best_")}
        paths = {key: copy.copy(getattr(self, key, None)) for key in _BEST_PATHS}
        self.file_backend = removals = DeferredRemovals(backend)
        postponed: list[tuple[int, dict]] = []
        self._postponed = postponed
        failure = None
        try:
            super()._save_best_checkpoint(runner, metrics)
        except OSError as error:
            failure = error
        finally:
            self.file_backend, self._postponed = backend, None
        prospect = "training goes on without it"
        if self._all_saved(runner, "the best checkpoint", failure, prospect):
            # the last checkpoint again, which then names the best one
            for step, meta in postponed:
                self._save_checkpoint_with_step(runner, step, meta)
            try:
                removals.perform()
            except OSError as error:
                runner.logger.warning(f"the best checkpoint so far cannot be removed: {error}")
            return
        for key in [key for key in hub.runtime_info if key.startswith("best_")]:
            hub.pop_info(key)
        hub.update_info_dict(known)
        for key in filter(paths.get, paths):
            setattr(self, key, paths[key])

    def _write(self, runner: Runner, name: str, meta: dict, prospect: str) -> bool:
        """Save under ``name`` and let ``last_checkpoint`` name it."""
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
                self._point_at(runner, path)
        except OSError as error:
            failure = error
        return self._all_saved(runner, path, failure, prospect)

    def _point_at(self, runner: Runner, path: str) -> None:
        pointer = Path(runner.work_dir, POINTER)
        try:
            write_atomically(pointer, lambda partial: partial.write_bytes(path.encode()))
        except OSError as error:
            runner.logger.warning(
                f"{pointer} cannot be written ({error}); --resume finds {path} without it"
            )

    def _all_saved(self, runner: Runner, name: str, failure: OSError | None, prospect: str) -> bool:
        """Whether the main process, which alone writes, succeeded; all processes must ask."""
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

    def _remember_kept(self, runner: Runner, steps: list[int]) -> None:
        self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
        runner.message_hub.update_info("keep_ckpt_ids", steps)

    def _remove(self, names: list[str]) -> None:
        if not is_main_process():
            return
        for path in (self.file_backend.join_path(self.out_dir, name) for name in names):
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):
                self.file_backend.rmtree(path)  # deepspeed's
