"""Hook that saves checkpoints every few minutes, in addition to those of every few epochs."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..guards.guarded_writes import try_writing
from ..resume.checkpoint_names import TIMED, is_local
from ..resume.run_checkpoints import has_regular_end
from .preemption_hook import checkpoint_hook, weights_are_up_to_date

_FIRST_CHECK = 10  # iterations, before their duration is known


@HOOKS.register_module()
class TimedCheckpointHook(Hook):
    """Save the run every ``minutes``, alternately to ``timed_0.pth`` and ``timed_1.pth``.

    The time starts again with every checkpoint of the run's :class:`AtomicCheckpointHook` that
    contains more than weights. The clock of the main process decides, at the end of an iteration
    that updates the weights. The processes do not communicate in every iteration: at each check,
    the main process estimates the number of iterations until the next one, which comes when at most
    half of the remaining time has passed.

    The time that training waits for each save is measured. If it exceeds ``max_share`` of the
    interval, the interval grows to ``time / max_share``. The first growth is logged. Both files are
    removed at the end of the run, unless its last regular checkpoint is older.

    Args:
        minutes: minutes between two saves.
        max_share: largest share of the time that saving may take, between 0 and 1.

    Raises:
        ValueError: ``minutes`` is not positive, ``max_share`` is not between 0 and 1, or the run
            has no :class:`AtomicCheckpointHook`.
    """

    # after the regular checkpoints (VERY_LOW, 90), before a preempted run exits (LOWEST, 100)
    priority = 95
    _hook: Any = None  # the run's AtomicCheckpointHook, once training has begun

    def __init__(self, minutes: float = 15, max_share: float = 0.01) -> None:
        if not (minutes > 0 and math.isfinite(minutes)):
            raise ValueError(
                f"TimedCheckpointHook: minutes={minutes} must be positive; to save no checkpoints"
                " by time, set default_hooks.timed_checkpoint=None"
            )
        if not 0 < max_share < 1:
            raise ValueError(
                f"TimedCheckpointHook: max_share={max_share} must be between 0 and 1, such as 0.01"
            )
        self.minutes = minutes
        self.max_share = max_share
        self._interval = minutes * 60.0  # seconds
        self._is_announced = False
        self._previous = ""  # name of the last file of this run

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._hook = checkpoint_hook(runner, type(self).__name__)
        self._is_local = is_local(self._hook.out_dir)
        self._since = self._checked = time.monotonic()
        self._checked_iter = runner.iter
        self._next_check = runner.iter + _FIRST_CHECK

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Start the time again, unless it is a best checkpoint or one of another hook.

        MMEngine calls this in the main process only.
        """
        if self._hook is not None and self._hook.is_saving_run:
            self._since = time.monotonic()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Save if the main process finds that the interval has passed."""
        done = runner.iter + 1
        if done < self._next_check or not weights_are_up_to_date(runner.optim_wrapper):
            return
        plan = torch.tensor(self._plan(done))
        broadcast(plan)
        is_due, wait = plan.tolist()
        self._next_check = done + wait
        if is_due:
            self._save(runner)

    def after_train(self, runner: Runner) -> None:
        """Remove the files if the regular checkpoint of the end is complete."""
        if is_main_process() and self._is_local and has_regular_end(self._hook, runner):
            for path in filter(Path.exists, self._files()):
                try_writing(runner.logger, f"'{path.parent}'", path.unlink)

    def _plan(self, done: int) -> list[int]:
        """Return whether to save now, and the iterations until the next check."""
        now = time.monotonic()
        seconds = (now - self._checked) / max(done - self._checked_iter, 1)
        self._checked, self._checked_iter = now, done
        remaining = self._interval - (now - self._since)
        if remaining <= 0:
            return [1, _FIRST_CHECK]
        pause = min(remaining / 2, self._interval / 10)
        return [0, max(1, int(pause / max(seconds, 1e-6)))]

    def _save(self, runner: Runner) -> None:
        start = time.monotonic()
        self._hook.finish_saving()  # the oldest file is only then certain
        self._previous = name = self._oldest()
        prospect = "training continues, and the next interval tries again"
        self._hook.save_iteration(runner, name, prospect)
        self._since = self._checked = time.monotonic()
        duration = self._since - start
        self._interval = max(self.minutes * 60, duration / self.max_share)
        if self._interval > self.minutes * 60 and not self._is_announced:
            self._is_announced = True
            runner.logger.warning(
                f"saving delayed training by {duration:.3g} s, more than {self.max_share:.3g} of"
                f" the {self.minutes:g} minutes between two checkpoints by time: they are now saved"
                f" every {self._interval / 60:.3g} minutes"
            )

    def _oldest(self) -> str:
        """Return the name to write: a missing file, or the one written first.

        The times of files decide only at the first save, because clocks may be set back.
        """
        if not self._is_local:
            return TIMED[0]
        if self._previous:
            return TIMED[1 - TIMED.index(self._previous)]
        times = {path: path.stat().st_mtime_ns if path.exists() else 0 for path in self._files()}
        return min(times, key=times.__getitem__).name

    def _files(self) -> list[Path]:
        return [Path(self._hook.out_dir, name) for name in TIMED]
